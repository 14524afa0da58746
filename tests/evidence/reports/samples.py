"""Sample evidence for the tests of the reports: each verdict occurs, from synthetic observations that are judged."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from memkit.evidence import (
    Arm,
    Claim,
    ClaimEvidence,
    Contrast,
    Evidence,
    Observation,
    Registration,
    gate,
    judge,
)
from memkit.evidence.origin import Mutant

PROVENANCE = {
    "memkit": "0.1.0",
    "python": "3.12.3",
    "numpy": "2.4.6",
    "torch": "2.9.1+cpu",
    "platform": "Linux-6.8-x86_64",
    "device": "cpu",
    "command": "pytest claims -n 2",
    "commit": "3f9c2ab417d06a55c1f0e9d7c8ab3321f0e4d9aa",
    "dirty": True,
    "lock": "a41b0c2d9e8f77665544332211009988",
    "options": {"seeds": 32, "gate": "all"},
}
RECIPE: dict[str, Any] = {
    "task": {"name": "retrieval", "variables": 2, "actions": 5, "held_out": 0.33},
    "model": {"name": "SlotNetwork", "width": 128, "slots": 4, "heads": 8},
    "memory": "dynamic",
    "optimiser": {"name": "adam", "lr": 0.001},
    "steps": 800,
    "batch": 32,
}


def arm(**changes: Any) -> Arm:
    return Arm({**RECIPE, **changes})


def make(
    claim: Claim,
    values: Mapping[str, Any],
    *,
    first: int = 10_000,
    planned: int | None = None,
    status: Any = "registered",
    attempt: int = 1,
    failures: Mapping[int, str] | None = None,
    skip: tuple[int, ...] = (),
    reason: str = "loss became nan at step 412",
) -> ClaimEvidence:
    """Return evidence whose arms measured ``values``: name → one number per seed, all of the same length."""
    planned = (claim.seeds or 32) if planned is None else planned
    registration = Registration(status=status, attempt=attempt, first_seed=first)
    seeds = registration.seeds(planned)
    metric_of = {name: c.metric for c in reversed(claim.all_contrasts) for name in c.names}
    observations = tuple(
        Observation(
            claim=claim.id,
            seed=seed,
            arm=name,
            metric=metric_of.get(name, claim.metrics[0]),
            value=float(column[i]),
            reason="" if math.isfinite(column[i]) else reason,
        )
        for i, seed in enumerate(seeds)
        for name, column in values.items()
        if i < len(column) and seed not in skip and seed not in (failures or {})
    )
    judgement = judge(
        claim,
        observations,
        planned=seeds,
        thresholds=registration.thresholds,
        development=registration.development,
    )
    return ClaimEvidence(
        claim=claim,
        nodeid=f"claims/{claim.study}/test_{claim.study}.py::test_{claim.id.split('/')[1].replace('-', '_')}",
        registration=registration,
        planned=seeds,
        observations=observations,
        judgement=judgement,
        gate=gate(claim, judgement, registration=registration, failures=dict(failures or {})),
        failures=failures or {},
        arms={
            name: {
                "digest": hashlib.sha256(name.encode()).hexdigest()[:32],
                "parameters": 86536,
                "state": 512,
            }
            for name in claim.arms
        },
        cost={"trained": 312.4, "measured": 4.2, "reused": 0.25},
    )


def normal(seed: int, mean: float, sd: float, n: int = 32) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(mean, sd, n), 0, 1)


def supported(**options: Any) -> ClaimEvidence:
    claim = Claim(
        id="binding/retrieval-needs-dynamic-memory",
        statement="Recalling a value that was given at run time needs a memory that is written at run time.",
        arms={"dynamic": arm(), "static": arm(memory="static")},
        contrasts=(
            Contrast("dynamic", over="static", metric="accuracy", bounds=(0, 1), sesoi=0.10),
            Contrast("dynamic", over=0.2, metric="accuracy", bounds=(0, 1), margin=0.05),
        ),
        source="research diary, 29 July 2025: 100 % against 17.71 %",
        headline=True,
    )
    return make(claim, {"dynamic": normal(1, 0.97, 0.02), "static": normal(2, 0.18, 0.02)}, **options)


def adaptive() -> ClaimEvidence:
    """Return a claim that the first 7 of its 8 seeds decide, so that no further seeds were run."""
    claim = Claim(
        id="binding/swapped-slots-swap-the-answer",
        statement="Where the contents of two slots are exchanged, so are the answers.",
        arms={"swapped": arm(), "left": arm()},
        contrasts=(Contrast("swapped", over="left", metric="accuracy", bounds=(0, 1)),),
    )
    entry = make(claim, {"swapped": normal(18, 0.97, 0.02, 8), "left": normal(19, 0.02, 0.02, 8)})
    return replace(entry, arms={name: {**facts, "cpu_seconds": 61.7} for name, facts in entry.arms.items()})


def refuted() -> ClaimEvidence:
    claim = Claim(
        id="intervention/active-memory-over-nearest-neighbours",
        statement="Active memory outperforms a plain nearest-neighbour vote on the same entries.",
        arms={"active": arm(memory="active"), "embedding_knn": arm(memory="knn", model={"name": "mlp"})},
        contrasts=(Contrast("active", over="embedding_knn", metric="accuracy", bounds=(0, 1)),),
        source="toolkit report, table 3",
        expect="refuted",
    )
    return make(claim, {"active": normal(3, 0.30, 0.03), "embedding_knn": normal(4, 0.85, 0.03)})


def equivalent() -> ClaimEvidence:
    claim = Claim(
        id="binding/recognition-is-solved-by-both",
        statement="With one variable, recognition is solved by a recurrent network as well as by slots.",
        arms={"slots": arm(), "lstm": arm(model={"name": "LSTM", "width": 96}), "untrained": arm(steps=0)},
        contrasts=(Contrast("slots", over="lstm", metric="accuracy", bounds=(0, 1), sesoi=0.30),),
        positive_control=Contrast("slots", over="untrained", metric="accuracy", bounds=(0, 1)),
        expect="equivalent",
    )
    return make(
        claim,
        {"slots": normal(5, 0.96, 0.01), "lstm": normal(6, 0.96, 0.01), "untrained": normal(7, 0.1, 0.05)},
    )


def inconclusive() -> ClaimEvidence:
    claim = Claim(
        id="binding/the-curriculum-beats-single-stage-training-on-held-out-combinations",
        statement="A three-stage curriculum reaches a higher held-out accuracy than single-stage training.",
        arms={"curriculum": arm(curriculum=3), "single": arm(curriculum=1)},
        contrasts=(Contrast("curriculum", over="single", metric="accuracy", bounds=(0, 1), sesoi=0.05),),
    )
    single = normal(9, 0.60, 0.15)
    single[20] = math.nan
    return make(claim, {"curriculum": normal(8, 0.66, 0.15), "single": single}, attempt=2)


def normal_theory() -> ClaimEvidence:
    claim = Claim(
        id="intervention/published-regime-over-random",
        statement="In the published regime, real entries help more than random ones.",
        arms={"active": arm(), "random": arm(memory="random")},
        contrasts=(Contrast("active", over="random", metric="accuracy", bounds=(0, 1), assume="normal", sesoi=0.02),),
        gate=True,
    )
    return make(claim, {"active": normal(10, 0.936, 0.003), "random": normal(11, 0.929, 0.003)})


def incomplete() -> ClaimEvidence:
    claim = Claim(
        id="growth/growing-preserves-the-function",
        statement="Growth that copies and splits leaves the loss where it was.",
        arms={"net2net": arm(), "fresh": arm()},
        contrasts=(Contrast("net2net", over="fresh", metric="loss jump", bounds=(-2.5, 2.5), direction="lower"),),
    )
    return make(
        claim,
        {"net2net": normal(12, 0.01, 0.01), "fresh": normal(13, 0.9, 0.2)},
        failures={10_003: "RuntimeError: worker gw1 crashed"},
        skip=(10_006, 10_007),
    )


def development() -> ClaimEvidence:
    claim = Claim(
        id="binding/collisions-harm",
        statement="Addresses that are forced together harm recall.",
        arms=dict.fromkeys(("apart", "together"), Arm()),
        contrasts=(Contrast("apart", over="together", metric="accuracy", bounds=(0, 1)),),
    )
    return make(
        claim,
        {"apart": normal(14, 0.9, 0.05), "together": normal(15, 0.2, 0.05)},
        first=0,
        status="unregistered",
        attempt=0,
    )


def unseen() -> ClaimEvidence:
    claim = Claim(
        id="growth/never-run",
        statement="A claim of which nothing was observed.",
        arms={"a": arm(), "b": arm()},
        contrasts=(Contrast("a", over="b", metric="accuracy", bounds=(0, 1)),),
    )
    return make(claim, {"a": [], "b": []})


def unbounded() -> ClaimEvidence:
    """Return a claim with one seed, which Student's t decides: its interval is infinite."""
    claim = Claim(
        id="growth/one-seed",
        statement="The norm of the gradient is larger with soft addressing.",
        arms={"soft": arm(), "argmax": arm()},
        contrasts=(Contrast("soft", over="argmax", metric="gradient norm", assume="normal"),),
        expect="open",
    )
    return make(claim, {"soft": [12.5], "argmax": [0.0]}, planned=1)


def futile() -> ClaimEvidence:
    """Return a claim that stopped after 16 seeds, because further seeds like these would not decide it."""
    claim = Claim(
        id="growth/no-difference",
        statement="Arms that differ by nothing are told apart.",
        arms={"one": arm(), "other": arm()},
        contrasts=(Contrast("one", over="other", metric="accuracy", bounds=(0, 1)),),
    )
    return make(claim, {"one": normal(20, 0.5, 0.01, 16), "other": normal(21, 0.5, 0.01, 16)})


def broken() -> ClaimEvidence:
    """Return a mutant without an effect: that nothing that would matter is left is shown, but no verdict."""
    claim = Claim(
        id="growth/no-difference/mutant",
        statement="Broken on purpose, one with its memory never written: One beats the other.",
        arms={"one": arm(), "other": arm()},
        contrasts=(Contrast("one", over="other", metric="accuracy", bounds=(0, 1), margin=0.2),),
        expect="not_supported",
        origin=Mutant("growth/no-difference"),
    )
    return make(claim, {"one": normal(22, 0.65, 0.01), "other": normal(23, 0.5, 0.01)})


HOSTILE = "<script>alert(1)</script>"


def hostile() -> ClaimEvidence:
    claim = Claim(
        id="x/hostile",
        statement=f"{HOSTILE} | pipes\nand 'quotes' \"double\" \x1b[31m",
        arms={HOSTILE: Arm({"note": HOSTILE}), "b|c\nd": Arm({"note": "plain"}, intervention=HOSTILE)},
        contrasts=(Contrast(HOSTILE, over="b|c\nd", metric=f"{HOSTILE}|m", bounds=(0, 1)),),
        source=HOSTILE,
    )
    a, b = normal(16, 0.5, 0.2), normal(17, 0.5, 0.2)
    a[3] = math.nan
    return make(claim, {HOSTILE: a, "b|c\nd": b}, failures={10_031: HOSTILE}, reason=HOSTILE)


def pair(a: Sequence[float], b: Sequence[float], bounds: tuple[float, float] = (0, 1)) -> ClaimEvidence:
    """Return a claim with two arms that measured the given values, one per seed."""
    claim = Claim(
        id="a/b",
        statement="a over b.",
        arms=dict.fromkeys("ab", Arm()),
        contrasts=(Contrast("a", over="b", metric="m", bounds=bounds),),
        seeds=8,
    )
    return make(claim, {"a": a, "b": b})


def evidence(*claims: ClaimEvidence, **provenance: Any) -> Evidence:
    return Evidence(created="2026-11-22T18:30:00+00:00", provenance={**PROVENANCE, **provenance}, claims=claims)


def everything() -> Evidence:
    return evidence(
        supported(),
        equivalent(),
        inconclusive(),
        development(),
        refuted(),
        normal_theory(),
        incomplete(),
        unseen(),
        unbounded(),
    )
