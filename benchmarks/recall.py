"""Measure the CPU time of training until eight facts are recalled from their first two words.

    python benchmarks/recall.py [--repetitions 3] [--smoke]

The slot memory of the recall study learns facts with known words and with novel ones, in a cohort of eight seeds and
alone, until 97 of 100 completions of training facts are right with eight facts per episode. Exact match is measured
afterwards on facts and text that were not used in training, eight facts among eight other contexts. For comparison, the
same network without a memory, which reads only the contexts in which a fact is queried, trains for as many steps; the
difference is the cost of the memory and of reading for it. All runs use one thread and no denormal numbers. Times are
CPU seconds per seed, the minimum of the repetitions, which are interleaved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from simulation import table

from fixtures.recall.recipes import NOVEL_SLOTS, SLOTS, unseen
from memkit import Recipe
from memkit.models.recalling import on
from memkit.tasks.recall_scoring import exact_match
from memkit.training.building import restore
from memkit.training.process import prepare_process
from memkit.training.trained_run import TrainedRun
from memkit.training.trainer import train

COHORT = 8
GOAL = 10
"""The goal in CPU seconds per seed; a prototype took 27."""


def timed(run: Callable[[], list[TrainedRun]]) -> tuple[float, list[TrainedRun]]:
    """Return the CPU seconds per seed, and the trained runs."""
    began = time.process_time()
    runs = run()
    return (time.process_time() - began) / len(runs), runs


def exact_matches(recipe: Recipe, runs: Sequence[TrainedRun]) -> list[float]:
    """Return the exact match of every seed."""
    matches = []
    for run in runs:
        model: Any = restore(recipe, run.seed, run.state)
        matches.append(exact_match(on(model), unseen(recipe.task.kind, run.seed)))
    return matches


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3, help="repetitions per measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one repetition of eight steps, to check that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, max_steps = (1, 8) if options.smoke else (options.repetitions, SLOTS.steps)
    prepare_process()
    recipes = {"known words": SLOTS.with_(steps=max_steps), "novel words": NOVEL_SLOTS.with_(steps=max_steps)}
    train(SLOTS.with_(steps=2), [0])  # warm up: some modules are loaded on first use
    rows = []
    for name, recipe in recipes.items():
        rounds: list[list[float]] = []
        for _ in range(repetitions):
            cohort, runs = timed(lambda recipe=recipe: train(recipe, range(COHORT)))  # type: ignore[misc]
            steps = round(fmean(run.metrics["steps"] for run in runs))
            alone, _ = timed(lambda recipe=recipe: train(recipe, [0]))  # type: ignore[misc]
            no_memory = recipe.with_(memory=None, steps=steps)
            without, _ = timed(lambda no_memory=no_memory: train(no_memory, range(COHORT)))  # type: ignore[misc]
            rounds.append([cohort, alone, without])
        cohort, alone, without = (min(column) for column in zip(*rounds, strict=True))
        matches = exact_matches(recipe, runs)
        share = f"{100 * (1 - without / cohort):.0f} %"
        cells = (cohort, alone, without)
        rows.append(
            [name, *(f"{s:.1f}" for s in cells), share, f"{steps}", f"{fmean(matches):.3f}", f"{min(matches):.3f}"]
        )
    header = ["CPU s per seed", f"cohort of {COHORT}", "alone", "no memory", "memory's share", "steps"]
    header += ["exact match", "lowest"]
    print(f"minimum of {repetitions} repetitions; the goal is {GOAL} s per seed in a cohort of {COHORT}\n")
    print(table(header, rows))


if __name__ == "__main__":
    main()
