"""Measure the size of a report and the time to render it: 200 claims of 32 seeds, with curves and figures.

    python benchmarks/report.py [--claims 200] [--seeds 32] [--smoke]

The claims have random numbers with a small effect, so that none is decided and every seed is shown. Each claim has two
arms with their own recipes, whose learning curves are shown, and a figure. The goal is under 5 MB and 60 seconds. The
time to judge the same claims once, which is most of the time to read the file, is measured separately.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence

from simulation import table

from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Evidence, Observation, Registration, gate, judge
from memkit.evidence.figures import Lines, Series
from memkit.evidence.learning_curves import Curves
from memkit.evidence.reports import render_html
from memkit.evidence.reports.gallery import Gallery

OVER = Contrast("treatment", over="control", metric="accuracy", bounds=(0, 1), sesoi=0.1)


def undecided_claim(number: int, seeds: int) -> ClaimEvidence:
    """Return the evidence of a claim that is not decided."""
    name, rng = f"study-{number % 4}/claim-number-{number}", random.Random(number)
    claim = Claim(
        id=name,
        statement="The treatment answers more held-out commands than the control, at this budget.",
        arms={"treatment": Arm({"steps": 9, "model": name}), "control": Arm({"steps": 9})},
        contrasts=(OVER,),
        source="a report, table 3: 0.93 against 0.88",
        seeds=seeds,
    )
    registration = Registration(status="registered", attempt=1, first_seed=10_000)
    planned = registration.seeds(seeds)
    observations = tuple(
        Observation(claim=name, seed=seed, arm=arm, metric="accuracy", value=min(1.0, max(0.0, rng.gauss(mean, 0.2))))
        for seed in planned
        for arm, mean in (("treatment", 0.53), ("control", 0.5))
    )
    judgement = judge(claim, observations, planned=planned)
    series = [Series("treatment", tuple(range(10)), tuple(rng.random() for _ in range(10)))]
    return ClaimEvidence(
        claim=claim,
        nodeid="claims/test_study.py::test_it",
        registration=registration,
        planned=planned,
        observations=observations,
        judgement=judgement,
        gate=gate(claim, judgement, registration=registration, failures={}),
        arms={arm: {"digest": f"{arm}-{number}", "parameters": 86_536, "cpu_seconds": 5.0} for arm in claim.arms},
        figures=(Lines("Accuracy by length", "length", "accuracy", series),),
        cost={"trained": 320.0, "measured": 4.0, "reused": 0.5},
    )


def curves(entry: ClaimEvidence) -> dict[str, Curves]:
    """Return learning curves with 24 points per seed for both arms."""
    points = tuple((50 * step + 1, 2.0 / (1 + step)) for step in range(24))
    return {
        str(facts["digest"]): Curves(arms=(f"{entry.claim.id}: {arm}",), seeds=dict.fromkeys(entry.planned, points))
        for arm, facts in entry.arms.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--claims", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=32, help="from 6 to 100 (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="four claims, to check that it runs")
    options = parser.parse_args(arguments)
    count = 4 if options.smoke else options.claims
    if count < 1:
        parser.error("--claims must be at least 1")
    began = time.process_time()
    claims = tuple(undecided_claim(number, options.seeds) for number in range(count))
    judging_time = time.process_time() - began
    learning_curves = {digest: curve for entry in claims for digest, curve in curves(entry).items()}
    evidence = Evidence(
        created="2025-07-29T12:00:00+00:00", provenance={"device": "cpu"}, claims=claims, curves=learning_curves
    )
    gallery = Gallery(folder="figures")
    began = time.process_time()
    page = render_html(evidence, gallery)
    rendering_time = time.process_time() - began
    print(
        table(
            ["claims", "seeds", "judging, CPU s", "rendering, CPU s", "page, MB", "separate pictures"],
            [
                [
                    str(count),
                    str(options.seeds),
                    f"{judging_time:.1f}",
                    f"{rendering_time:.1f}",
                    f"{len(page.encode()) / 1e6:.2f}",
                    str(len(gallery.separate_files)),
                ]
            ],
        )
    )


if __name__ == "__main__":
    main()
