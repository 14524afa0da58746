"""Hand-made evidence: one claim, or a file of claims with every verdict except EQUIVALENT."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

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

OVER = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), sesoi=0.1)


def entry(
    id: str = "study/name",
    *,
    a: float = 1.0,
    b: float = 0.0,
    n: int = 8,
    diverged: int | None = None,
    **options: Any,
) -> ClaimEvidence:
    contrast = options.pop("contrast", OVER)
    claim = Claim(
        id=id,
        statement="A beats B.",
        arms={"a": Arm({"steps": 9}), "b": Arm()},
        contrasts=(contrast,),
        **options,
    )
    registration = Registration(status="registered", attempt=1, first_seed=10_000)
    planned = registration.seeds(n)
    rows = tuple(
        Observation(claim=id, seed=seed, arm=arm, metric="accuracy", value=value + jitter * (arm == "a"))
        for seed, jitter in zip(planned, [0.0, -1 / 64] * n, strict=False)
        for arm, value in (("a", a), ("b", b))
    )
    if diverged is not None:
        rows = (
            *rows[: 2 * diverged],
            replace(rows[2 * diverged], value=math.nan, reason="nan at step 3"),
            *rows[2 * diverged + 1 :],
        )
    judgement = judge(claim, rows, planned=planned, thresholds=registration.thresholds)
    return ClaimEvidence(
        claim=claim,
        nodeid="claims/test_it.py::test_it",
        registration=registration,
        planned=planned,
        observations=rows,
        judgement=judgement,
        gate=gate(claim, judgement, registration=registration, failures={}),
        arms={"a": {"digest": "0" * 32, "parameters": 12}},
        cost={"training_cpu_seconds": 1.5},
    )


def evidence(*claims: ClaimEvidence) -> Evidence:
    return Evidence(created="2025-07-29T12:00:00+00:00", provenance={"python": "3.11", "commit": None}, claims=claims)


FREE = Contrast("a", over="b", metric="accuracy", assume="normal")
MANY = evidence(
    entry(),
    entry("study/refuted", a=0.2, b=1.0, expect="refuted"),
    entry("study/unclear", a=0.55, b=0.5, n=16),
    entry("study/diverged", diverged=2, n=16),
    entry("study/unbounded", contrast=FREE, diverged=2, gate=True),
    entry("study/free", contrast=FREE),
    entry("study/odd", n=12),
    entry("study/one", n=1),
    entry("other/open", expect="open"),
)
