"""Check that the plugin gives the verdicts of the simulations for the same experiments.

    python benchmarks/pipeline.py [--repetitions 100] [--seed 0] [--smoke]

Every experiment becomes a claim whose test returns fixed numbers. All claims are registered, run by pytest with the
plugin, look by look, and judged again from the evidence file. Each verdict, and the number of seeds that it uses, must
be what ``benchmarks/calibration.py`` finds for the same draws, so that the rates found there with more repetitions hold
for the plugin too.

The plugin also stops a claim that has hardly any chance of a verdict, which the simulations do not. Such a claim may be
undecided where the simulation goes on and reaches a verdict. The benchmark prints its own rates, how many claims were
stopped and how many of these would have been decided, and how often the interval contains the true mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from calibration import DISTRIBUTIONS, EFFECT, SESOI, hidden
from simulation import SEEDS, Floats, arguments, by_capital, percent, table

CLAIMS_PER_FILE = 200
"""The most claims per evidence file; memkit limits the time that judging one file may take."""
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
    """Return name → draws (repetitions, seeds), their true mean, and the declared sesoi."""
    drawn: dict[str, tuple[Floats, float, float | None]] = {}
    for draw in (*DISTRIBUTIONS, hidden):
        for kind, mean, sesoi in (("null", 0.0, None), ("planted", EFFECT, None), ("apart", -SESOI, SESOI)):
            if draw is not hidden or kind == "apart":
                # Clipped, so that both arms lie within their bounds in spite of rounding.
                values = np.clip(draw(rng, (repetitions, SEEDS), mean), -1, 1)
                drawn[f"{draw.__name__}_{kind}"] = (values, mean, sesoi)
    return drawn


def run_plugin(drawn: dict[str, tuple[Floats, float, float | None]], folder: Path) -> dict[str, Any]:
    """Run the experiments as claims by pytest, and return claim id → its entry in the evidence file.

    Raises:
        SystemExit: pytest failed, or a verdict does not follow from the file.
    """
    for name, (values, _, sesoi) in drawn.items():
        np.save(folder / f"{name}.npy", values)
        text = _SUITE.format(file=str(folder / f"{name}.npy"), name=name, count=len(values), sesoi=sesoi)
        (folder / f"test_{name}.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    _run(folder, "memkit.cli", "register")
    entries: dict[str, Any] = {}
    repetitions = len(next(iter(drawn.values()))[0])
    for names in batched(drawn, max(1, CLAIMS_PER_FILE // repetitions)):
        files = [f"test_{name}.py" for name in names]
        _run(folder, "pytest", *files, "--sweeps", "-q", "-p", "no:cacheprovider", "-p", "no:html", "-n0")
        _run(folder, "memkit.cli", "verdicts")
        data = json.loads((folder / "reports" / "evidence.json").read_text(encoding="utf-8"))
        entries |= {entry["claim"]["id"]: entry for entry in data["claims"]}
    return entries


def batched(names: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield the names in tuples of at most ``size``."""
    remaining = iter(names)
    while batch := tuple(islice(remaining, size)):
        yield batch


def _run(folder: Path, *command: str) -> None:
    """Run a module in the folder of the claims, or end the benchmark with its output if it fails."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stdout[-3000:]}{process.stderr[-3000:]}")


def main() -> None:
    options = arguments(__doc__.splitlines()[0], each="distribution and mean", default=100, smoke=3)
    repetitions = options.repetitions
    start = time.perf_counter()
    drawn = experiments(np.random.default_rng(options.seed), repetitions)
    with tempfile.TemporaryDirectory(prefix="memkit-pipeline-") as folder:
        entries = run_plugin(drawn, Path(folder))
    rows, differing = [], 0
    for name, (values, mean, sesoi) in drawn.items():
        simulated = by_capital(values, sesoi=sesoi)
        judgements = [entries[f"calibration/{name}/experiment-{i}"]["judgement"] for i in range(repetitions)]
        verdicts = np.array([judgement["verdict"].lower() for judgement in judgements])
        seeds = np.array([judgement["n"] for judgement in judgements])
        differs = (verdicts != simulated.outcome) | (seeds != simulated.seeds)
        # A run that was stopped has looked at fewer seeds than the simulation, which goes on.
        stopped = (verdicts == "inconclusive") & (seeds < simulated.seeds)
        differing += int((differs & ~stopped).sum())
        intervals = [judgement["findings"][0]["interval"] for judgement in judgements]
        contains_mean = [interval["low"] <= mean <= interval["high"] for interval in intervals]
        rows.append(
            [
                name.replace("_", " "),
                *(percent(float((verdicts == verdict).mean())) for verdict in ("supported", "refuted", "equivalent")),
                f"{seeds.mean():.1f}",
                percent(float(stopped.mean())),
                percent(float((stopped & (simulated.outcome != "inconclusive")).mean())),
                percent(float(np.mean(contains_mean))),
            ]
        )
    header = ["claims", "supported", "refuted", "equivalent", "mean seeds", "stopped", "verdicts lost", "coverage"]
    count = repetitions * len(drawn)
    print(table(header, rows), end="\n\n")
    print(f"{count} claims, up to {SEEDS} seeds each, in {time.perf_counter() - start:.0f} s")
    print(f"verdicts or seeds that differ from the simulation of the same draws: {differing}")
    if differing:
        raise SystemExit("the plugin's verdicts differ from the simulated ones")


if __name__ == "__main__":
    main()
