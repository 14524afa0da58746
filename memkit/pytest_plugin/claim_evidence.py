"""The evidence of one claim, built from the results of its run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from memkit.errors import count_of
from memkit.evidence.accepted_verdicts import accepted_values
from memkit.evidence.claim import Claim
from memkit.evidence.drift import Difference, difference
from memkit.evidence.earlier_runs import EarlierRuns, same_values, values_of
from memkit.evidence.evidence_file import ClaimEvidence, observed_hash
from memkit.evidence.gate import Gate, Mode, apply_strict_mode, gate
from memkit.evidence.lock_schema_1 import is_digest_of
from memkit.evidence.observation import Observation
from memkit.evidence.registered_judgement import judge_registered
from memkit.evidence.registration import Registration
from memkit.evidence.verdict import Judgement, Verdict
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.measurement import Measurement


def evidence_of(
    run: ClaimRun,
    *,
    mode: Mode,
    strict: bool = False,
    accepted: Mapping[str, Any] | None = None,
    earlier: EarlierRuns | None = None,
    platform: Mapping[str, Any] | None = None,
) -> ClaimEvidence:
    """Return the evidence of a claim.

    Args:
        mode: the mode of the gate, which determines what may fail the run.
        strict: whether a claim that decides nothing fails the run, too.
        accepted: the entry of the claim in the accepted verdicts, or None.
        earlier: the earlier runs of the claim's present attempt, or None.
        platform: the compute platform of the run.
    """
    planned = run.planned
    claim, registration = planned.claim, planned.registration
    failures = dict(run.failures)
    if not run.is_skipped:
        failures |= run.skipped
    observations = tuple(o for o in run.observations if o.seed not in failures)
    registration = _with_earlier_runs(run, registration, observations, earlier, accepted, platform or {})
    judgement = judge_registered(claim, observations, planned=planned.planned, registration=registration)
    seeds = [seed for seed in planned.planned if seed in run.measurements and seed not in failures]
    measurements = [run.measurements[seed] for seed in seeds]
    arms = _arms(measurements)
    changes = _changes_since_accepted(claim, accepted, judgement, arms)
    result = gate(claim, judgement, registration=registration, failures=failures, mode=mode, drift=changes.drift)
    if run.is_skipped and result.outcome != "failed":  # an edited claim fails even if it is skipped
        result = Gate("skipped", f"INCOMPLETE: {next(iter(run.skipped.values()))}")
    if strict:
        result = apply_strict_mode(result, claim, judgement, registration=registration)
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
        drift=changes.drift,
        changes=changes.others,
        remeasured=_remeasured(measurements),
        figures=next((m.figures for m in measurements if m.figures), ()),
        cost=_cost(measurements),
    )


def _with_earlier_runs(
    run: ClaimRun,
    registration: Registration,
    observations: Sequence[Observation],
    earlier: EarlierRuns | None,
    accepted: Mapping[str, Any] | None,
    platform: Mapping[str, Any],
) -> Registration:
    """Return the registration with what was found before the code behind the claim changed, if anything was."""
    claim = run.planned.claim
    if registration.development or not observations:
        return registration
    values, recorded = values_of(claim, observations), registration.recorded
    if recorded is None:
        found = None if earlier is None else earlier.outcome(values, run.planned.code, platform)
        return replace(registration, recorded=found)
    same = earlier is not None and earlier.has_values(values, platform)
    same = same or observed_hash(observations, run.planned.planned[: recorded.n]) == recorded.observations
    if not same and accepted is not None and accepted["digest"] == claim.digest:
        exactly = accepted.get("platform") == dict(platform)
        same = same_values(accepted_values(accepted), values, exactly=exactly)
    return replace(registration, same_values=same)


def _changes_since_accepted(
    claim: Claim, accepted: Mapping[str, Any] | None, judgement: Judgement, arms: Mapping[str, Any]
) -> Difference:
    """Return the changes since a claim was accepted; none if the claim was edited since then, or is not decided."""
    decided = judgement.indication is None and not judgement.missing and judgement.verdict is not Verdict.INCOMPLETE
    if accepted is None or not is_digest_of(claim, accepted["digest"]) or not decided:
        return Difference(claim.id)
    current = {"judgement": judgement.to_json(), "arms": arms, "digest": accepted["digest"]}
    return difference(claim.id, accepted, current)


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
        if other_devices := sorted({run["trained_on"] for run in runs if run.get("trained_on")}):
            arms[name]["trained_on"] = ", ".join(other_devices)
    return arms


_MAX_REPORTED = 20
"""The largest number of values that are reported one by one."""


def _remeasured(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Return messages on values that differed in a second measurement, and on files whose change required one."""
    messages, unreported = list[str](), 0
    for measurement in measurements:
        first = {(o.arm, o.metric): o.value for o in measurement.observations}
        for o in measurement.second_observations:
            earlier = first.get((o.arm, o.metric), math.nan)
            if earlier == o.value or (math.isnan(earlier) and math.isnan(o.value)):
                continue
            if len(messages) == _MAX_REPORTED:
                unreported += 1
            else:
                messages.append(
                    f"seed {o.seed}: {o.metric} of {o.arm!r} was {earlier:.6g}, but {o.value:.6g} when measured again; "
                    "the first value counts"
                )
    if unreported:
        messages.append(f"{count_of(unreported, 'further value')} differed when measured again; the first values count")
    changed_files = Counter(measurement.changed_file for measurement in measurements if measurement.changed_file)
    messages += [f"{count_of(n, 'seed')} measured again, since {name} has changed" for name, n in changed_files.items()]
    return tuple(messages)


def _cost(measurements: Sequence[Measurement]) -> dict[str, float]:
    # Arms with the same recipe share a model, whose training is counted once.
    seconds_by_digest = [{arm["digest"]: arm["cpu_seconds"] for arm in m.arms.values()} for m in measurements]
    training = sum(seconds for per_run in seconds_by_digest for seconds in per_run.values())
    return {
        "trained": round(training, 1),
        "measured": round(sum(m.cpu_seconds for m in measurements), 1),
        "reused": round(sum(m.reused for m in measurements) / max(1, len(measurements)), 3),
    }
