"""From observations to a verdict: a pure function of one claim and its own observations.

Looks are replayed in the order of the seeds, whatever order they ran in, and stop at the first decisive one.
The same function decides in a run and when an evidence file is recomputed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.observation import Observation
from memkit.statistics import (
    LOOKS,
    Interval,
    Look,
    decide,
    looks_within,
    minimum_detectable_effect,
    seeds_needed,
    smallest_constant,
    t_test,
)

_MOST_SEEDS = 10_000  # beyond anybody's means


class Verdict(StrEnum):
    """What the observations say about a claim, or about one of its contrasts."""

    SUPPORTED = "SUPPORTED"
    REFUTED = "REFUTED"
    EQUIVALENT = "EQUIVALENT"
    INCONCLUSIVE = "INCONCLUSIVE"
    INCOMPLETE = "INCOMPLETE"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One contrast at the look that decided its claim, or at the last one.

    Attributes:
        contrast: what was compared.
        role: "contrast", "requires" or "positive control".
        verdict: of this contrast alone.
        n: seeds that were used.
        alpha: two-sided level of the look.
        t, betting: the two intervals; ``betting`` is None where no bounds are declared.
        p: two-sided p of the t test against ``margin``.
        tost_p: p of the two one-sided tests against ±sesoi, where there is one.
        provisional: what the t interval alone would have decided, where the betting interval does not.
        negligible: SUPPORTED, yet inside ±sesoi.
        planning: where inconclusive: ``mde`` (the t test's minimum detectable effect at power 0.8),
            ``seeds_needed`` (for both intervals to show the effect that was seen, from the upper 80 % limit of the
            standard deviation),
            ``betting_minimum`` (the smallest constant difference that the betting interval can show on so
            many seeds).
        notes: sentences for the report.
    """

    contrast: Contrast
    role: str
    verdict: Verdict
    n: int
    alpha: float
    t: Interval
    betting: Interval | None
    p: float
    tost_p: float | None = None
    provisional: Verdict | None = None
    negligible: bool = False
    planning: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Both intervals, or the t interval alone."""
        return (self.t,) if self.betting is None else (self.t, self.betting)

    def to_json(self) -> dict[str, Any]:
        """Plain types; infinite ends of an interval become None."""
        return {
            "contrast": self.contrast.label,
            "role": self.role,
            "verdict": self.verdict.value,
            "estimate": _finite(self.t.estimate),
            "n": self.n,
            "intervals": [
                {
                    "method": i.method,
                    "level": i.level,
                    "low": _finite(i.low),
                    "high": _finite(i.high),
                    "n": i.n,
                }
                for i in self.intervals
            ],
            "p": self.p,
            "tost_p": self.tost_p,
            "provisional": self.provisional.value if self.provisional else None,
            "negligible": self.negligible,
            "planning": {name: _finite(value) for name, value in self.planning.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The verdict of a claim, and how it came about.

    Attributes:
        verdict: what counts.
        look: the seeds of the decisive look, or None.
        n: seeds that were used.
        indication: what the looks would have said on seeds, or a number of seeds, that decide nothing; None
            where the looks decide, and where seeds are missing.
        findings: one for each contrast; empty where there were too few observations for any.
        missing: planned seeds below the decisive look that were not observed.
        notes: sentences for the report.
    """

    verdict: Verdict
    look: int | None
    n: int
    findings: tuple[Finding, ...]
    indication: Verdict | None = None
    missing: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "verdict": self.verdict.value,
            "look": self.look,
            "n": self.n,
            "indication": self.indication.value if self.indication else None,
            "findings": [finding.to_json() for finding in self.findings],
            "missing": list(self.missing),
            "notes": list(self.notes),
        }


def judge(
    claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int], development: bool = False
) -> Judgement:
    """Judge a claim by its observations.

    Args:
        claim: the claim.
        observations: of any seeds, in any order; those of seeds that were not planned, and of other claims,
            are left out.
        planned: the seeds of the run, in the order of the looks.
        development: these are development seeds: they decide nothing, and the verdict stays INCONCLUSIVE.

    Returns:
        The judgement at the first decisive look, or at the last one.
    """
    table = _table(o for o in observations if o.claim == claim.id)
    seen = [seed for seed in planned if seed in table]
    looks = looks_within(len(planned)) if len(planned) in {look.n for look in LOOKS} else ()
    if not looks:
        return _describe(claim, table, seen, planned, development)

    for look in looks:
        used = planned[: look.n]
        if missing := tuple(seed for seed in used if seed not in table):
            findings = _findings(claim, table, seen, Look(len(seen), look.alpha)) if seen else ()
            return Judgement(verdict=Verdict.INCOMPLETE, look=None, n=len(seen), findings=findings, missing=missing)
        result = _at(claim, table, used, look)
        if result.verdict is not Verdict.INCONCLUSIVE:
            break
    if result.verdict is Verdict.INCONCLUSIVE:
        result = _check_requirements(result)
    return _undecided(result, "development seeds decide nothing") if development else result


def _at(claim: Claim, table: _Table, used: Sequence[int], look: Look) -> Judgement:
    findings = _findings(claim, table, used, look)
    own = [finding for finding in findings if finding.role == "contrast"]
    kinds = {finding.verdict for finding in own}
    conditions = [finding for finding in findings if finding.role == "requires"]
    control = [finding for finding in findings if finding.role == "positive control"]
    notes: list[str] = []
    verdict = Verdict.INCONCLUSIVE
    if len(findings) < len(claim.all_contrasts) or any(f.verdict is Verdict.INCOMPLETE for f in findings):
        return Judgement(
            verdict=Verdict.INCOMPLETE,
            look=None,
            n=len(used),
            findings=findings,
            notes=("a seed is not finite, and no bounds are declared to score it by",),
        )
    if kinds == {Verdict.SUPPORTED}:
        verdict = Verdict.SUPPORTED
    elif kinds == {Verdict.EQUIVALENT}:
        if all(finding.verdict is Verdict.SUPPORTED for finding in control):
            verdict = Verdict.EQUIVALENT
        else:
            notes.append("the positive control is not SUPPORTED, so the equivalence may only be a blunt measurement")
    elif kinds == {Verdict.SUPPORTED, Verdict.EQUIVALENT}:
        notes.append("some contrasts are SUPPORTED and some EQUIVALENT; split the claim to decide each")
    elif any(_refuted(claim, table, used, look, finding.contrast) for finding in own):
        verdict = Verdict.REFUTED
    elif Verdict.REFUTED in kinds:
        notes.append(
            f"a contrast is REFUTED, but not at 1/{len(own)} of the level, which refuting one of {len(own)} takes"
        )
    decisive = verdict is not Verdict.INCONCLUSIVE
    if decisive and any(finding.verdict is not Verdict.SUPPORTED for finding in conditions):
        verdict, decisive = Verdict.INCONCLUSIVE, False
    return Judgement(
        verdict=verdict, look=look.n if decisive else None, n=len(used), findings=findings, notes=tuple(notes)
    )


def _refuted(claim: Claim, table: _Table, used: Sequence[int], look: Look, contrast: Contrast) -> bool:
    """One refuted contrast refutes the claim, so with k of them each is tested at alpha / k."""
    decision = decide(
        _differences(contrast, table, used),
        look=look,
        bounds=contrast.difference_bounds,
        margin=contrast.margin,
        assume=contrast.assume,
        share=len(claim.contrasts),
    )
    return decision.outcome == "refuted"


def _findings(claim: Claim, table: _Table, used: Sequence[int], look: Look) -> tuple[Finding, ...]:
    if not used:
        return ()
    roles = [("contrast", contrast) for contrast in claim.contrasts]
    roles += [("requires", contrast) for contrast in claim.requires]
    if claim.positive_control is not None:
        roles.append(("positive control", claim.positive_control))
    found = (_finding(contrast, role, table, used, look) for role, contrast in roles)
    return tuple(finding for finding in found if finding is not None)


def _finding(contrast: Contrast, role: str, table: _Table, used: Sequence[int], look: Look) -> Finding | None:
    x = _differences(contrast, table, used)
    broken = bool(np.isnan(x).any())  # a seed that is not finite, and no bounds to score it by
    if broken:
        x = x[~np.isnan(x)]
        if not len(x):
            return None
        look = Look(len(x), look.alpha)
    decision = decide(
        x,
        look=look,
        bounds=contrast.difference_bounds,
        margin=contrast.margin,
        sesoi=contrast.sesoi,
        assume=contrast.assume,
    )
    verdict = Verdict.INCOMPLETE if broken else Verdict(decision.outcome.upper())
    return Finding(
        contrast=contrast,
        role=role,
        verdict=verdict,
        n=len(x),
        alpha=look.alpha,
        t=decision.t,
        betting=decision.betting,
        p=t_test(x, null=contrast.margin).p if len(x) > 1 else 1.0,
        tost_p=decision.tost_p,
        provisional=Verdict(decision.provisional.upper()) if decision.provisional else None,
        negligible=decision.negligible,
        planning=_planning(contrast, x, look) if verdict is Verdict.INCONCLUSIVE else {},
        notes=tuple(decision.notes),
    )


def _planning(contrast: Contrast, x: NDArray[np.float64], look: Look) -> dict[str, float]:
    """What a larger run would need, for a contrast that was not decided."""
    plan: dict[str, float] = {}
    n = len(x)
    if n > 1 and float(np.ptp(x)) > 0:
        with np.errstate(over="ignore"):
            sd = float(np.std(x, ddof=1))
        plan["mde"] = minimum_detectable_effect(sd, n, alpha=look.alpha) if math.isfinite(sd) else math.inf
        effect = abs(float(np.mean(x)) - contrast.margin)
        plan["seeds_needed"] = _seeds_needed(contrast, x, effect, look)
    if contrast.difference_bounds is not None:
        least = smallest_constant(n, bounds=contrast.difference_bounds)
        if math.isfinite(least):  # a few seeds can show nothing
            plan["betting_minimum"] = least
    return plan


def _seeds_needed(contrast: Contrast, x: NDArray[np.float64], effect: float, look: Look) -> float:
    """Seeds at which both intervals could show an effect, or inf; the betting interval at its best, without spread."""
    try:
        needed = seeds_needed(x, effect=effect, alpha=look.alpha)
    except MemkitError:  # an effect of zero, or so near it that no number of seeds would do
        return math.inf
    bounds = contrast.difference_bounds
    if contrast.assume == "bounded" and bounds is not None:
        while needed <= _MOST_SEEDS and smallest_constant(needed, bounds=bounds) > effect:
            needed += max(1, needed // 8)
    return float(needed) if needed <= _MOST_SEEDS else math.inf


def _check_requirements(result: Judgement) -> Judgement:
    unmet = [f for f in result.findings if f.role == "requires" and f.verdict is not Verdict.SUPPORTED]
    if not unmet:
        return result
    notes = (*result.notes, *(f"precondition not met: {finding.contrast.label}" for finding in unmet))
    return Judgement(verdict=Verdict.INCOMPLETE, look=None, n=result.n, findings=result.findings, notes=notes)


def _describe(claim: Claim, table: _Table, seen: Sequence[int], planned: Sequence[int], development: bool) -> Judgement:
    """A number of seeds that is no look: intervals at the usual 95 %, and no decision."""
    sizes = ", ".join(str(look.n) for look in LOOKS)
    count = "1 seed decides" if len(planned) == 1 else f"{len(planned)} seeds decide"
    note = f"{count} nothing, looks are at {sizes}"
    if not seen:
        return Judgement(verdict=Verdict.INCOMPLETE, look=None, n=0, findings=(), missing=tuple(planned), notes=(note,))
    result = _at(claim, table, seen, Look(len(seen), 0.05))
    if len(seen) < len(planned):
        missing = tuple(seed for seed in planned if seed not in table)
        return Judgement(
            verdict=Verdict.INCOMPLETE,
            look=None,
            n=len(seen),
            findings=result.findings,
            missing=missing,
            notes=(note,),
        )
    return _undecided(result, note)


def _undecided(result: Judgement, note: str) -> Judgement:
    incomplete = result.verdict is Verdict.INCOMPLETE
    return Judgement(
        verdict=Verdict.INCOMPLETE if incomplete else Verdict.INCONCLUSIVE,
        look=None,
        n=result.n,
        findings=result.findings,
        indication=result.verdict,
        notes=(*result.notes, note),
    )


_Table = Mapping[int, Mapping[tuple[str, str], float]]


def _table(observations: Iterable[Observation]) -> _Table:
    table: dict[int, dict[tuple[str, str], float]] = {}
    for o in observations:
        table.setdefault(o.seed, {})[o.arm, o.metric] = o.value
    return table


def differences(claim: Claim, contrast: Contrast, observations: Iterable[Observation]) -> dict[int, float]:
    """Seed → signed difference, for every seed that was observed."""
    table = _table(o for o in observations if o.claim == claim.id)
    return {seed: float(_differences(contrast, table, [seed])[0]) for seed in sorted(table)}


def _differences(contrast: Contrast, table: _Table, seeds: Sequence[int]) -> NDArray[np.float64]:
    values = []
    for seed in seeds:
        row = table[seed]
        treatment = row[contrast.treatment, contrast.metric]
        over = contrast.over
        control = row[over, contrast.metric] if isinstance(over, str) else float(over)
        values.append(contrast.difference(treatment, control))
    return np.array(values, dtype=np.float64)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
