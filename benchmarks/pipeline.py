"""Compare the plugin with the simulations: the same experiments go through both.

    python benchmarks/pipeline.py [--repetitions 100] [--seed 0] [--smoke]

Every experiment becomes a claim whose test returns canned numbers; all are registered and run by pytest with the
plugin, look by look, and judged again from the evidence file. Each verdict and each number of seeds must be that of
``benchmarks/calibration.py``'s own replay of the same draws, so its rates, over more repetitions, hold for the plugin
too. Printed are the rates here, and how often the printed intervals hold the mean that was planted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from calibration import DISTRIBUTIONS, EFFECT, SESOI, both_intervals, hidden
from simulation import SEEDS, Floats, arguments, percent, run, table

_SUITE = """
import numpy as np
from memkit import Contrast, sweep

DRAWN = np.load({file!r})

@sweep(
    "calibration/{name}",
    "Experiment {{experiment}} of {name}.",
    over={{"experiment": tuple(range({count}))}},
    arms=("treatment", "control"),
    contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1), sesoi={sesoi})],
    deterministic=True,
)
def test_{name}(seed, cell):
    half = DRAWN[cell["experiment"], seed % 100] / 2
    return {{"treatment": 0.5 + half, "control": 0.5 - half}}
"""


def experiments(rng: np.random.Generator, repetitions: int) -> dict[str, tuple[Floats, float, float | None]]:
    """Name → draws (repetitions, seeds), their mean, and the sesoi that is declared."""
    made: dict[str, tuple[Floats, float, float | None]] = {}
    for draw in (*DISTRIBUTIONS, hidden):
        for kind, mean, sesoi in (("null", 0.0, None), ("planted", EFFECT, None), ("apart", -SESOI, SESOI)):
            if draw is not hidden or kind == "apart":
                # As the arms can show it: both within their bounds, up to rounding.
                values = np.clip(draw(rng, (repetitions, SEEDS), mean), -1, 1)
                made[f"{draw.__name__}_{kind}"] = (values, mean, sesoi)
    return made


def through_the_plugin(made: dict[str, tuple[Floats, float, float | None]], folder: Path) -> dict[str, Any]:
    """Claim id → its part of the evidence file of a pytest run.

    Raises:
        SystemExit: pytest failed, or a verdict does not follow from the file.
    """
    for name, (values, _, sesoi) in made.items():
        np.save(folder / f"{name}.npy", values)
        text = _SUITE.format(file=str(folder / f"{name}.npy"), name=name, count=len(values), sesoi=sesoi)
        (folder / f"test_{name}.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:html", "-n0"]
    for command in (
        ["-m", "memkit.cli", "register"],
        ["-m", "pytest", "--sweeps", *quiet],
        ["-m", "memkit.cli", "verdicts"],
    ):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False, env=environment
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    data = json.loads((folder / "reports" / "evidence.json").read_text(encoding="utf-8"))
    return {entry["claim"]["id"]: entry for entry in data["claims"]}


def main() -> None:
    repetitions, seed = arguments(__doc__.splitlines()[0], each="distribution and mean", default=100, smoke=3)
    began = time.perf_counter()
    made = experiments(np.random.default_rng(seed), repetitions)
    with tempfile.TemporaryDirectory(prefix="memkit-pipeline-") as folder:
        entries = through_the_plugin(made, Path(folder))
    rows, differing = [], 0
    for name, (values, mean, sesoi) in made.items():
        simulated = run(values, partial(both_intervals, sesoi=sesoi))
        found = [entries[f"calibration/{name}/experiment-{i}"]["judgement"] for i in range(repetitions)]
        verdicts = np.array([judgement["verdict"].lower() for judgement in found])
        seeds = np.array([judgement["n"] for judgement in found])
        differing += int(((verdicts != simulated.outcome) | (seeds != simulated.seeds)).sum())
        held = {"student-t": [], "betting": []}
        for judgement in found:
            for interval in judgement["findings"][0]["intervals"]:
                held[interval["method"]].append(interval["low"] <= mean <= interval["high"])
        rows.append(
            [
                name.replace("_", " "),
                *(percent(float((verdicts == verdict).mean())) for verdict in ("supported", "refuted", "equivalent")),
                f"{seeds.mean():.1f}",
                *(percent(float(np.mean(kept))) for kept in held.values()),
            ]
        )
    head = ["claims", "supported", "refuted", "equivalent", "mean seeds", "t holds the mean", "betting does"]
    count = repetitions * len(made)
    print(table(head, rows), end="\n\n")
    print(f"{count} claims, up to {SEEDS} seeds each, in {time.perf_counter() - began:.0f} s")
    print(f"verdicts or seeds that differ from the replay of the same draws: {differing}")
    if differing:
        raise SystemExit("the plugin does not do what is simulated")


if __name__ == "__main__":
    main()
