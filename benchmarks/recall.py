"""Measure what it costs to learn to recall: CPU time until eight facts are recalled from their first two words.

    python benchmarks/recall.py [--repetitions 3] [--smoke]

The slots of the study of recall learn facts of known words and of novel ones, in a cohort of eight seeds and alone,
until 97 of 100 completions of training facts are right with eight facts an episode. Exact match is measured afterwards
on facts and text that were not trained on, eight facts among eight other contexts. Beside them the same network
without a memory, which reads only the contexts in which a fact is asked for, for as many steps: what the memory costs,
and reading for it. One thread, no denormal numbers; CPU seconds per seed, the least of the repetitions, which take
turns.
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
"""CPU seconds per seed that this is to take; a prototype took 27."""


def timed(run: Callable[[], list[TrainedRun]]) -> tuple[float, list[TrainedRun]]:
    """Return the CPU seconds per seed, and what was trained."""
    began = time.process_time()
    runs = run()
    return (time.process_time() - began) / len(runs), runs


def recalled(recipe: Recipe, runs: Sequence[TrainedRun]) -> list[float]:
    """Exact match of every seed."""
    found = []
    for run in runs:
        model: Any = restore(recipe, run.seed, run.state)
        found.append(exact_match(on(model), unseen(recipe.task.kind, run.seed)))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3, help="of every measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one repetition of eight steps, to see that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, most = (1, 8) if options.smoke else (options.repetitions, SLOTS.steps)
    prepare_process()
    recipes = {"known words": SLOTS.with_(steps=most), "novel words": NOVEL_SLOTS.with_(steps=most)}
    train(SLOTS.with_(steps=2), [0])  # what is loaded when it is used first
    rows = []
    for name, recipe in recipes.items():
        rounds: list[list[float]] = []
        for _ in range(repetitions):
            cohort, runs = timed(lambda recipe=recipe: train(recipe, range(COHORT)))  # type: ignore[misc]
            steps = round(fmean(run.metrics["steps"] for run in runs))
            alone, _ = timed(lambda recipe=recipe: train(recipe, [0]))  # type: ignore[misc]
            plain = recipe.with_(memory=None, steps=steps)
            without, _ = timed(lambda plain=plain: train(plain, range(COHORT)))  # type: ignore[misc]
            rounds.append([cohort, alone, without])
        cohort, alone, without = (min(column) for column in zip(*rounds, strict=True))
        right = recalled(recipe, runs)
        share = f"{100 * (1 - without / cohort):.0f} %"
        cells = (cohort, alone, without)
        rows.append([name, *(f"{s:.1f}" for s in cells), share, f"{steps}", f"{fmean(right):.3f}", f"{min(right):.3f}"])
    head = ["CPU s per seed", f"cohort of {COHORT}", "alone", "no memory", "its share", "steps", "exact match", "least"]
    print(f"least of {repetitions} repetitions; the goal is {GOAL} s per seed in a cohort of {COHORT}\n")
    print(table(head, rows))


if __name__ == "__main__":
    main()
