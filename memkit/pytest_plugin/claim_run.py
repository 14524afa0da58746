"""A claim while it runs: which of its seeds are out, what came in, which come next, and what it all comes to."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from memkit.errors import many
from memkit.evidence.decision_rule import judge, seeds_wanted
from memkit.evidence.drift import Difference, difference
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.gate import Gate, Mode, gate, strictly
from memkit.evidence.observation import Observation
from memkit.evidence.schema_1 import is_digest_of
from memkit.evidence.verdict import Judgement, Verdict
from memkit.pytest_plugin.measurement import Measurement
from memkit.pytest_plugin.plan import PlannedClaim


@dataclass
class Try:
    """What the last try of a seed has shown so far; a plugin may run a test again.

    Attributes:
        sound: everything has passed so far.
    """

    measurement: Measurement | None = None
    failure: str = ""
    skipped: str = ""
    sound: bool = True


@dataclass
class ClaimRun:
    """A claim while it runs.

    Attributes:
        opened: seeds that may be measured.
        waiting: those of them that have not reported yet.
        tries: the last try of those that have begun to report.
        measurements, failures, skipped: what came in, by seed.
    """

    planned: PlannedClaim
    opened: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    tries: dict[int, Try] = field(default_factory=dict)
    measurements: dict[int, Measurement] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)

    @property
    def observations(self) -> tuple[Observation, ...]:
        """Of the seeds that did not fail, in the order of the looks."""
        seeds = [seed for seed in self.planned.planned if seed in self.measurements and seed not in self.failures]
        return tuple(o for seed in seeds for o in self.measurements[seed].observations)

    @property
    def skipped_whole(self) -> bool:
        """A claim may be skipped whole, where its data are missing, say; but nobody picks its seeds."""
        return bool(self.skipped) and not self.measurements and not self.failures

    def end(self, seed: int) -> None:
        """Take what the last try of a seed came to; one that left nothing has failed."""
        last = self.tries.pop(seed)
        self.waiting.discard(seed)
        if last.failure:
            self.failures[seed] = last.failure
        elif last.skipped:
            self.skipped[seed] = last.skipped
        elif last.measurement is not None:
            self.measurements[seed] = last.measurement
        else:
            self.failures[seed] = "it ended without a measurement and without a reason; another plugin may have run it"

    def next_seeds(self, *, adaptive: bool) -> list[int]:
        """The seeds that come next; none when the claim needs no more, or when it cannot be decided any more."""
        rest = [seed for seed in self.planned.selected if seed not in self.opened]
        if self.failures or self.skipped:
            return []
        wanted = seeds_wanted(self.planned.claim, self.observations, planned=self.planned.planned)
        if not adaptive or not set(wanted) <= set(self.planned.selected):  # a look that will not be complete
            return rest
        return [seed for seed in rest if seed in wanted]

    def settled(self, judgement: Judgement) -> str:
        """Why the seeds that were not opened are not needed."""
        if self.skipped_whole:
            return next(iter(self.skipped.values()))
        if broken := {**self.failures, **self.skipped}:
            return f"seed {min(broken)} failed, so the claim cannot be decided"
        if judgement.look is not None:
            return f"decided at n = {judgement.look}"
        if judgement.indication not in (None, Verdict.INCONCLUSIVE):
            return f"looks like {judgement.indication} at n = {judgement.n}"
        return f"{judgement.verdict} at n = {judgement.n}"

    def evidence(self, *, mode: Mode, strict: bool = False, accepted: Mapping[str, Any] | None = None) -> ClaimEvidence:
        """The claim's part of the evidence.

        Args:
            mode: what may fail the run.
            strict: a claim that decides nothing fails it, too.
            accepted: the claim as it was accepted last, if it was.
        """
        planned = self.planned
        claim, registration = planned.claim, planned.registration
        failures = dict(self.failures)
        if not self.skipped_whole:
            failures |= self.skipped
        observations = tuple(o for o in self.observations if o.seed not in failures)
        judgement = judge(claim, observations, planned=planned.planned, development=registration.development)
        seeds = [seed for seed in planned.planned if seed in self.measurements and seed not in failures]
        used = [self.measurements[seed] for seed in seeds]
        arms = _arms(used)
        since = self._since(accepted, judgement, arms)
        result = gate(claim, judgement, registration=registration, failures=failures, mode=mode, drift=since.drift)
        if self.skipped_whole and result.outcome != "failed":  # an edited claim fails, skipped or not
            result = Gate("skipped", f"INCOMPLETE: {next(iter(self.skipped.values()))}")
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

    def _since(self, accepted: Mapping[str, Any] | None, judgement: Judgement, arms: Mapping[str, Any]) -> Difference:
        """What changed since it was accepted; nothing is told of a claim that was edited since, or is not decided."""
        claim = self.planned.claim
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
"""Values that are told of one by one."""


def _remeasured(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Which values differed when they were measured a second time, and which files made seeds be measured again."""
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
