"""Drift: what has changed since a run was accepted, or between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.evidence.accepted_verdicts import load_accepted
from memkit.evidence.evidence_loading import load

SLACK = 0.01
"""The distance by which an effect may leave its earlier interval, relative to 1 or to the earlier effect, whichever is
larger: where all seeds agree the interval has no width, and another machine rounds differently."""
COSTLIER = 2.0
"""A change in the CPU seconds of training by more than this factor is reported; less may be due to the machine."""

Told = Mapping[str, Any]
"""A claim's ``judgement``, ``arms`` and ``digest``, in plain types, as accepted.json holds them."""


@dataclass(frozen=True)
class Difference:
    """The changes in one claim.

    Attributes:
        verdict, effects: sentences on changes that are drift.
        others: sentences on the claim itself, the code behind it and the cost; they explain drift, and are none by
            themselves.
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


def difference(claim: str, before: Told, after: Told) -> Difference:
    """Return what changed in one claim: its verdict, effects that left their earlier t intervals, and the rest."""
    old, new = before["judgement"], after["judgement"]
    verdict = () if old["verdict"] == new["verdict"] else (f"was {old['verdict']}, is {new['verdict']}",)
    found = {(f["role"], f["contrast"], f.get("metric")): f for f in new["findings"]}
    effects = []
    for earlier in old["findings"]:
        later = found.get((earlier["role"], earlier["contrast"], earlier.get("metric")))
        if later is None or later["estimate"] is None or earlier["estimate"] is None:
            continue
        low, high = _t(earlier)
        slack = SLACK * max(1.0, abs(earlier["estimate"]))
        if not low - slack <= later["estimate"] <= high + slack:
            effects.append(
                f"{earlier['contrast']} was {earlier['estimate']:+.3g} [{low:+.3g}, {high:+.3g}], is "
                f"{later['estimate']:+.3g}, outside"
            )
    return Difference(claim, verdict, tuple(effects), _others(before, after))


def compare(one: Path, other: Path) -> tuple[list[Difference], list[str], list[str]]:
    """Compare two files, of evidence or of accepted verdicts.

    Returns:
        ``(differences, gone, new)``: one difference for each claim that both have, and the claims that only one has.
    """
    before, after = read(one), read(other)
    differences = [difference(name, before[name], after[name]) for name in before if name in after]
    return differences, [name for name in before if name not in after], [name for name in after if name not in before]


def read(path: Path) -> dict[str, Told]:
    """Read the claims of an evidence file, or of accepted verdicts.

    Raises:
        MemkitError: the file is neither.
    """
    try:
        # Only the beginning of evidence is read here, since it may hold many claims.
        data, *_ = strict_json.parts(strict_json.read_bytes(path))
    except FileNotFoundError:
        raise MemkitError(f"{path} does not exist") from None
    except (OSError, MemkitError) as error:
        raise MemkitError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, dict) or "provenance" not in data:
        return load_accepted(path)
    return {entry.claim.id: entry.told() for entry in load(path).claims}


def _t(finding: Mapping[str, Any]) -> tuple[float, float]:
    """Return the t interval; an end that is None is infinite."""
    interval = next(i for i in finding["intervals"] if i["method"] != "betting")
    low, high = interval["low"], interval["high"]
    return (float("-inf") if low is None else low, float("inf") if high is None else high)


def _others(before: Told, after: Told) -> tuple[str, ...]:
    said = []
    if before["digest"] != after["digest"]:
        said.append("the claim itself differs")
    arms = [name for name in before["arms"] if name in after["arms"]]
    if recoded := [n for n in arms if before["arms"][n].get("digest") != after["arms"][n].get("digest")]:
        said.append(f"recipe or code behind {', '.join(recoded)} differs")
    old, new = (sum(told["arms"][n].get("cpu_seconds") or 0.0 for n in arms) for told in (before, after))
    if old and new and not 1 / COSTLIER <= new / old <= COSTLIER:
        said.append(f"a seed trains {new / old:.1f} times as long")
    return tuple(said)
