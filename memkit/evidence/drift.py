"""Drift: what changed since the accepted run, or between two runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy import special

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.evidence.accepted_verdicts import load_accepted
from memkit.evidence.evidence_loading import load

SLACK = 0.01
"""The distance by which an effect may leave its earlier interval, relative to 1 or to the earlier effect, whichever is
larger. If all seeds agree, the interval has no width, and another machine rounds differently."""
COSTLIER = 2.0
"""A change of the CPU seconds of training by more than this factor is reported; a smaller one may be due to the
machine."""

AcceptedClaim = Mapping[str, Any]
"""A claim's ``judgement``, ``arms`` and ``digest``, in plain types, as accepted.json holds them."""


@dataclass(frozen=True)
class Difference:
    """The changes of one claim.

    Attributes:
        claim: the claim's id.
        verdict, effects: sentences on changes of the verdict and of effects, which are drift.
        others: sentences on changes of the claim itself, the code behind it and the cost, which may explain drift but
            are not drift themselves.
    """

    claim: str
    verdict: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def drift(self) -> tuple[str, ...]:
        """The changes for which a gate on drift fails a run."""
        return self.verdict + self.effects

    @property
    def sentences(self) -> tuple[str, ...]:
        """All changes, those that are drift first."""
        return self.drift + self.others


def difference(claim: str, before: AcceptedClaim, after: AcceptedClaim) -> Difference:
    """Return what changed in one claim: its verdict, effects that left their earlier intervals, and the rest."""
    old, new = before["judgement"], after["judgement"]
    verdict = () if old["verdict"] == new["verdict"] else (f"was {old['verdict']}, is {new['verdict']}",)
    new_findings = {(f["role"], f["contrast"], f.get("metric")): f for f in new["findings"]}
    effects = []
    for earlier in old["findings"]:
        later = new_findings.get((earlier["role"], earlier["contrast"], earlier.get("metric")))
        if later is None or later["estimate"] is None or earlier["estimate"] is None:
            continue
        low, high = _interval(earlier)
        slack = SLACK * max(1.0, abs(earlier["estimate"]))
        if not low - slack <= later["estimate"] <= high + slack:
            effects.append(
                f"{earlier['contrast']} was {earlier['estimate']:+.3g} [{low:+.3g}, {high:+.3g}], is "
                f"{later['estimate']:+.3g}, outside that interval"
            )
    return Difference(claim, verdict, tuple(effects), _others(before, after))


def compare(one: Path, other: Path) -> tuple[list[Difference], list[str], list[str]]:
    """Compare two files, each of evidence or of accepted verdicts.

    Returns:
        ``(differences, gone, new)``: the differences of the claims that both files have, the ids of those that only
        the first file has, and of those that only the second file has.

    Raises:
        MemkitError: one of the files is neither evidence nor accepted verdicts.
    """
    before, after = read(one), read(other)
    differences = [difference(name, before[name], after[name]) for name in before if name in after]
    return differences, [name for name in before if name not in after], [name for name in after if name not in before]


def read(path: Path) -> dict[str, AcceptedClaim]:
    """Read the claims of a file of evidence or of accepted verdicts.

    Raises:
        MemkitError: the file is neither.
    """
    try:
        # Of an evidence file, only the head is read here, since there may be many claims.
        data, *_ = strict_json.split_claims(strict_json.read_bytes(path))
    except FileNotFoundError:
        raise MemkitError(f"{path} does not exist") from None
    except (OSError, MemkitError) as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict) or "provenance" not in data:
        return load_accepted(path)
    return {entry.claim.id: entry.as_accepted() for entry in load(path).claims}


def _interval(finding: Mapping[str, Any]) -> tuple[float, float]:
    """Return the limits within which an effect counts as unchanged: Student's t at 95 %.

    Files of earlier versions do not hold the spread. For these, the limits are those of the finding's own interval; a
    limit that is None is infinite.
    """
    sd, n = finding.get("sd"), finding.get("n", 0)
    if sd is not None and n > 1:
        half_width = float(special.stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
        return finding["estimate"] - half_width, finding["estimate"] + half_width
    low, high = finding["interval"]["low"], finding["interval"]["high"]
    return (float("-inf") if low is None else low, float("inf") if high is None else high)


def _others(before: AcceptedClaim, after: AcceptedClaim) -> tuple[str, ...]:
    """Return sentences on changes that are not drift."""
    sentences = []
    if before["digest"] != after["digest"]:
        sentences.append("the claim itself differs")
    arms = [name for name in before["arms"] if name in after["arms"]]
    if changed := [n for n in arms if before["arms"][n].get("digest") != after["arms"][n].get("digest")]:
        sentences.append(f"the recipe or the code behind {', '.join(changed)} differs")
    old, new = (sum(claim["arms"][n].get("cpu_seconds") or 0.0 for n in arms) for claim in (before, after))
    if old and new and not 1 / COSTLIER <= new / old <= COSTLIER:
        sentences.append(f"training takes {new / old:.1f} times as long per seed")
    return tuple(sentences)
