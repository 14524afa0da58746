"""From observations to a verdict: a pure function of one claim and its own observations.

Looks are replayed in the order of the seeds, whatever order they ran in, and stop at the first decisive one.
The same function decides in a run, says which seeds the run needs next, and recomputes an evidence file.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.contrast import Contrast
from memkit.evidence.observation import Observation
from memkit.evidence.verdict import Finding, Judgement, Verdict
from memkit.statistics import (
    LOOKS,
    Look,
    decide,
    looks_within,
    minimum_detectable_effect,
    replay,
    seeds_needed,
    smallest_constant,
    t_test,
)

__all__ = ["Finding", "Judgement", "Verdict", "differences", "judge", "looked", "seeds_wanted"]

_MOST_SEEDS = 10_000  # beyond anybody's means

_Table = Mapping[int, Mapping[tuple[str, str], float]]
"""seed -> (arm, metric) -> value"""


def judge(
    claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int], development: bool = False
) -> Judgement:
    """Judge a claim by its observations.

    Args:
        claim: the claim.
        observations: of any seeds, in any order; those of seeds that were not planned, and of other claims,
            are left out.
        planned: the seeds that the claim may use, in the order of the looks.
        development: these are development seeds: they decide nothing, and the verdict stays INCONCLUSIVE.

    Returns:
        The judgement at the first decisive look, or at the last one; INCOMPLETE where a seed of the look that
        comes next was not observed. Planned seeds beyond the decisive look are not missed.
    """
    table = _table(o for o in observations if o.claim == claim.id)
    if not _looks(planned):
        return _describe(claim, table, planned)
    reached = _replayed(claim, table, planned)
    if isinstance(reached, Look):
        return _incomplete(claim, table, planned, reached)
    reached = _with_planning(claim, table, planned, reached)
    result = _check_requirements(reached) if reached.verdict is Verdict.INCONCLUSIVE else reached
    return _undecided(result, "development seeds decide nothing") if development else result


def looked(claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int]) -> tuple[Judgement, ...]:
    """Return the judgement at every look that was taken, in their order; the last one stands.

    Args:
        claim, observations, planned: as for :func:`judge`.

    Returns:
        None where the number of planned seeds is no look, or seeds of the first one are missing.
    """
    table = _table(o for o in observations if o.claim == claim.id)
    return tuple(_with_planning(claim, table, planned, taken.judgement) for taken in _taken(claim, table, planned))


def seeds_wanted(claim: Claim, observations: Iterable[Observation], *, planned: Sequence[int]) -> tuple[int, ...]:
    """Return the seeds that the verdict needs next: those of the next look that were not observed yet.

    A run that observes these, asks again, and ends when there are none comes to the judgement of a run that
    observes all planned seeds. Development seeds are asked for alike: until they would have decided.

    Args:
        claim: the claim.
        observations: what is there so far; as for :func:`judge`.
        planned: the seeds that the claim may use, in the order of the looks.

    Returns:
        Planned seeds, in their order; none once a look was decisive, or the last look was taken, or a seed can
        neither be scored nor replaced. Where the number of planned seeds is no look, all that were not
        observed. A seed that failed without an observation is asked for again; whoever runs it has to stop.
    """
    table = _table(o for o in observations if o.claim == claim.id)
    if not _looks(planned):
        return _unseen(table, planned)
    reached = _replayed(claim, table, planned)
    return _unseen(table, planned[: reached.n]) if isinstance(reached, Look) else ()


def differences(claim: Claim, contrast: Contrast, observations: Iterable[Observation]) -> dict[int, float]:
    """Return seed → signed difference, for every seed that was observed."""
    table = _table(o for o in observations if o.claim == claim.id)
    return {seed: float(_differences(contrast, table, [seed])[0]) for seed in sorted(table)}


# The looks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taken:
    """The judgement at a look that was taken."""

    judgement: Judgement

    @property
    def decisive(self) -> bool:
        """Return whether the looks end here: with every verdict but INCONCLUSIVE, and so with INCOMPLETE too."""
        return self.judgement.verdict is not Verdict.INCONCLUSIVE


def _looks(planned: Sequence[int]) -> tuple[Look, ...]:
    """Return the looks within the planned seeds; none where their number is no look."""
    return looks_within(len(planned)) if len(planned) in {look.n for look in LOOKS} else ()


def _replayed(claim: Claim, table: _Table, planned: Sequence[int]) -> Judgement | Look:
    """Return the judgement at which the looks end, or the look that comes next and lacks seeds."""
    looks, taken = _looks(planned), _taken(claim, table, planned)
    if taken and (taken[-1].decisive or len(taken) == len(looks)):
        return taken[-1].judgement
    return looks[len(taken)]


def _taken(claim: Claim, table: _Table, planned: Sequence[int]) -> tuple[_Taken, ...]:
    """Return the judgement at every look that was taken."""
    observed = tuple(takewhile(table.__contains__, planned))
    return replay(observed, lambda used, look: _Taken(_at(claim, table, used, look)), looks=_looks(planned))


def _unseen(table: _Table, seeds: Sequence[int]) -> tuple[int, ...]:
    return tuple(seed for seed in seeds if seed not in table)


def _incomplete(claim: Claim, table: _Table, planned: Sequence[int], look: Look) -> Judgement:
    """Return the judgement where seeds of ``look`` are missing, with the intervals of the seeds that were seen."""
    seen = [seed for seed in planned if seed in table]
    findings = _findings(claim, table, seen, Look(len(seen), look.alpha)) if seen else ()
    missing = _unseen(table, planned[: look.n])
    found = Judgement(verdict=Verdict.INCOMPLETE, look=None, n=len(seen), findings=findings, missing=missing)
    return _with_planning(claim, table, seen, found)


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
    if not claim.deterministic and len(used) >= LOOKS[0].n and _repeats(claim, table, used):
        return Judgement(
            verdict=Verdict.INCOMPLETE,
            look=None,
            n=len(used),
            findings=findings,
            notes=(
                f"every arm gave the same value on all {len(used)} seeds, as when a random state is fixed by mistake; "
                "make the measurement depend on the seed, or declare deterministic=True if it cannot",
            ),
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
    elif (
        kinds == {Verdict.REFUTED}
        if len(own) == 1
        else any(_refuted(claim, table, used, look, finding.contrast) for finding in own)
    ):
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


def _repeats(claim: Claim, table: _Table, used: Sequence[int]) -> bool:
    """Return whether no compared value varies over the seeds, and at least one of them lies off the bounds."""
    inside = False
    for contrast in claim.all_contrasts:
        for name in contrast.names:
            values = {table[seed].get((name, contrast.metric), math.nan) for seed in used}
            if len(values) > 1 or not all(map(math.isfinite, values)):
                return False
            inside = inside or not values <= set(contrast.bounds or ())
    return inside


def _refuted(claim: Claim, table: _Table, used: Sequence[int], look: Look, contrast: Contrast) -> bool:
    """Return whether a contrast refutes the claim. One of k contrasts is enough, so each is tested at alpha / k."""
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
    return _found(contrast, role, tuple(_differences(contrast, table, used).tolist()), look)


@lru_cache(maxsize=1024)  # a run asks which seeds come next, then for the verdict, then for the path of the looks
def _found(contrast: Contrast, role: str, differences: tuple[float, ...], look: Look) -> Finding | None:
    x = np.array(differences, dtype=np.float64)
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
        notes=tuple(decision.notes),
    )


def _with_planning(claim: Claim, table: _Table, planned: Sequence[int], judgement: Judgement) -> Judgement:
    """Add what a larger run would need to decide each open finding. This takes longer than the verdict itself."""
    seeds = [seed for seed in planned if seed in table][: judgement.n]

    def plan(finding: Finding) -> Finding:
        if finding.verdict is not Verdict.INCONCLUSIVE:
            return finding
        found = _differences(finding.contrast, table, seeds)
        return replace(finding, planning=_planning(finding.contrast, found, Look(finding.n, finding.alpha)))

    return replace(judgement, findings=tuple(map(plan, judgement.findings)))


def _planning(contrast: Contrast, x: NDArray[np.float64], look: Look) -> dict[str, float]:
    """Compute what a larger run would need, for a contrast that was not decided."""
    plan: dict[str, float] = {}
    n = len(x)
    if n > 1 and float(np.ptp(x)) > 0:
        with np.errstate(over="ignore"):
            sd = float(np.std(x, ddof=1))
        plan["mde"] = minimum_detectable_effect(sd, n, alpha=look.alpha) if math.isfinite(sd) else math.inf
        effect = abs(float(np.mean(x)) - contrast.margin)
        plan["seeds_needed"] = _seeds_needed(contrast, x, effect, look)
    if contrast.difference_bounds is not None:
        least = smallest_constant(n, bounds=contrast.difference_bounds, null=contrast.margin)
        if math.isfinite(least):  # a few seeds can show nothing
            plan["betting_minimum"] = least
    return plan


def _seeds_needed(contrast: Contrast, x: NDArray[np.float64], effect: float, look: Look) -> float:
    """Return the seeds with which both intervals could show an effect, or inf; betting at its best, without spread."""
    try:
        needed = seeds_needed(x, effect=effect, alpha=look.alpha)
    except MemkitError:  # an effect of zero, or so near it that no number of seeds would do
        return math.inf
    bounds, margin = contrast.difference_bounds, contrast.margin
    if contrast.assume == "bounded" and bounds is not None:
        while needed <= _MOST_SEEDS and smallest_constant(needed, bounds=bounds, null=margin) - margin > effect:
            needed += max(1, needed // 8)
    return float(needed) if needed <= _MOST_SEEDS else math.inf


def _check_requirements(result: Judgement) -> Judgement:
    unmet = [f for f in result.findings if f.role == "requires" and f.verdict is not Verdict.SUPPORTED]
    if not unmet:
        return result
    notes = (*result.notes, *(f"precondition not met: {finding.contrast.label}" for finding in unmet))
    return Judgement(verdict=Verdict.INCOMPLETE, look=None, n=result.n, findings=result.findings, notes=notes)


def _describe(claim: Claim, table: _Table, planned: Sequence[int]) -> Judgement:
    """Judge a number of seeds that is no look: intervals at the usual 95 %, and no decision."""
    sizes = ", ".join(str(look.n) for look in LOOKS)
    count = "1 seed decides" if len(planned) == 1 else f"{len(planned)} seeds decide"
    note = f"{count} nothing, looks are at {sizes}"
    if _unseen(table, planned):
        return replace(_incomplete(claim, table, planned, Look(len(planned), 0.05)), notes=(note,))
    found = _at(claim, table, planned, Look(len(planned), 0.05))
    return _undecided(_with_planning(claim, table, planned, found), note)


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


def _table(observations: Iterable[Observation]) -> _Table:
    table: dict[int, dict[tuple[str, str], float]] = {}
    for o in observations:
        table.setdefault(o.seed, {})[o.arm, o.metric] = o.value
    return table


def _differences(contrast: Contrast, table: _Table, seeds: Sequence[int]) -> NDArray[np.float64]:
    values = []
    for seed in seeds:
        row = table[seed]
        treatment = row[contrast.treatment, contrast.metric]
        over = contrast.over
        control = row[over, contrast.metric] if isinstance(over, str) else float(over)
        values.append(contrast.difference(treatment, control))
    return np.array(values, dtype=np.float64)
