"""A claim's part of the evidence, built from what came in while it ran."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from memkit.errors import many
from memkit.evidence.claim import Claim
from memkit.evidence.decision_rule import judge
from memkit.evidence.drift import Difference, difference
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.gate import Gate, Mode, gate, strictly
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.evidence.verdict import Judgement, Verdict
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.measurement import Measurement


def evidence_of(
    run: ClaimRun, *, mode: Mode, strict: bool = False, accepted: Mapping[str, Any] | None = None
) -> ClaimEvidence:
    """Return a claim's part of the evidence.

    Args:
        mode: what may fail the run.
        strict: a claim that decides nothing fails it, too.
        accepted: the claim as it was accepted last, if it was.
    """
    planned = run.planned
    claim, registration = planned.claim, planned.registration
    failures = dict(run.failures)
    if not run.skipped_whole:
        failures |= run.skipped
    observations = tuple(o for o in run.observations if o.seed not in failures)
    judgement = judge(claim, observations, planned=planned.planned, development=registration.development)
    seeds = [seed for seed in planned.planned if seed in run.measurements and seed not in failures]
    used = [run.measurements[seed] for seed in seeds]
    arms = _arms(used)
    since = _since(claim, accepted, judgement, arms)
    result = gate(claim, judgement, registration=registration, failures=failures, mode=mode, drift=since.drift)
    if run.skipped_whole and result.outcome != "failed":  # an edited claim fails, skipped or not
        result = Gate("skipped", f"INCOMPLETE: {next(iter(run.skipped.values()))}")
    if strict:
        result = strictly(result, claim, judgement, registration=registration)
    return ClaimEvidence(
        claim=claim,
        nodeid=planned.nodeid,
        registration=registration,
        planned=planned.planned,
        observations=observations,
        judgement=judgement,
        gate=result,
        failures=failures,
        arms=arms,
        drift=since.drift,
        changes=since.others,
        remeasured=_remeasured(used),
        figures=next((m.figures for m in used if m.figures), ()),
        cost=_cost(used),
    )


def _since(
    claim: Claim, accepted: Mapping[str, Any] | None, judgement: Judgement, arms: Mapping[str, Any]
) -> Difference:
    """Return what changed since the claim was accepted; nothing if it was edited since, or is not decided."""
    decided = judgement.indication is None and not judgement.missing and judgement.verdict is not Verdict.INCOMPLETE
    if accepted is None or not is_digest_of(claim, accepted["digest"]) or not decided:
        return Difference(claim.id)
    told = {"judgement": judgement.to_json(), "arms": arms, "digest": accepted["digest"]}
    return difference(claim.id, accepted, told)


def _arms(measurements: Sequence[Measurement]) -> dict[str, dict[str, Any]]:
    arms: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for measurement in measurements for name in measurement.arms):
        runs = [measurement.arms[name] for measurement in measurements if name in measurement.arms]
        arms[name] = {
            "digest": runs[0]["digest"],
            "parameters": runs[0]["parameters"],
            "steps": runs[0]["steps"],
            "diverged": sum(bool(run["diverged"]) for run in runs),
            "cpu_seconds": round(fmean(run["cpu_seconds"] for run in runs), 3),
        }
        arms[name] |= {key: runs[0][key] for key in ("state_size", "tuning") if runs[0].get(key)}
        if elsewhere := sorted({run["trained_on"] for run in runs if run.get("trained_on")}):
            arms[name]["trained_on"] = ", ".join(elsewhere)
    return arms


_TOLD = 20
"""The most values that are reported one by one."""


def _remeasured(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Return sentences on values that differed on a second measurement, and on files whose change required one."""
    told, more = list[str](), 0
    for measurement in measurements:
        first = {(o.arm, o.metric): o.value for o in measurement.observations}
        for o in measurement.again:
            before = first.get((o.arm, o.metric), math.nan)
            if before == o.value or (math.isnan(before) and math.isnan(o.value)):
                continue
            if len(told) == _TOLD:
                more += 1
            else:
                told.append(
                    f"seed {o.seed}: {o.metric} of {o.arm!r} was {before:.6g}, and {o.value:.6g} when it was measured "
                    "again; the first counts"
                )
    if more:
        told.append(f"{many(more, 'value')} more differed when measured again; the first count")
    changed = Counter(measurement.changed for measurement in measurements if measurement.changed)
    told += [f"{many(n, 'seed')} measured again, since {name} has changed" for name, n in changed.items()]
    return tuple(told)


def _cost(measurements: Sequence[Measurement]) -> dict[str, float]:
    # Arms of one recipe share a model, whose training is counted once.
    shared = [{arm["digest"]: arm["cpu_seconds"] for arm in m.arms.values()} for m in measurements]
    training = sum(seconds for by_digest in shared for seconds in by_digest.values())
    return {
        "trained": round(training, 1),
        "measured": round(sum(m.cpu_seconds for m in measurements), 1),
        "reused": round(sum(m.reused for m in measurements) / max(1, len(measurements)), 3),
    }
