"""Trials that chose the study's free settings: ``python -m claims.intervention.tuning step``.

``step`` tries step sizes of the published regime, by accuracy. ``added`` and ``gone`` try methods that recognise added
classes, by balanced accuracy: with remembered images of all classes, and with images of the added classes only. All
trials use the validation images of development seeds 0 to 7; no test image is used. Each family has 24 trials, except
votes, which have fewer settings. Trials are printed best first.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from fixtures.intervention.interventions import fine_tuning, remembering, voting
from fixtures.intervention.recipes import (
    ADDING,
    DIGITS,
    GROUPS,
    NETWORK,
    OLD_DIGITS,
    OLD_NETWORK,
    PUBLISHED,
    hybrid,
)
from memkit.tasks.images.scoring import accuracy, balanced_accuracy
from memkit.training.building import restore
from memkit.training.process import prepare_process
from memkit.training.streams import generator
from memkit.training.trainer import train

SEEDS = range(8)
Trials = Iterator[tuple[str, Callable[..., Any]]]


def step_sizes() -> None:
    """Print the accuracy on validation images for each step size."""
    for eta in (PUBLISHED.step_size / 6400, 0.5, 5.0, 20.0, 50.0, 100.0, 250.0):
        recipe = hybrid(PUBLISHED.with_(step_size=eta), NETWORK)
        values = [
            accuracy(restore(recipe, run.seed, run.state), DIGITS.split(generator(run.seed, "split")).validation)
            for run in train(recipe, SEEDS)
        ]
        print(f"{sum(values) / len(values):.4f}  step size {eta:g}", flush=True)


def memories(old: int) -> Trials:
    """Yield trials of a memory that corrects a hidden state."""
    gates: tuple[dict[str, Any], ...] = ({}, {"mode": "gated", "gate": "uncertainty", "alpha": 1.0})
    for placement, k, metric in product(("early", "penultimate"), (3, 8), ("l2", "cosine")):
        # Steps are longer with a gate, which lets through only a part of them: more, the less sure the network is.
        for eta in (2.0, 5.0, 15.0) if old else (30.0, 60.0, 120.0):
            settings = ADDING.with_(placement=placement, k=k, metric=metric, step_size=eta, **gates[0 if old else 1])
            yield f"{placement}, k {k}, {metric}, step size {eta:g}", remembering(settings, old=old)


def votes(old: int) -> Trials:
    """Yield trials of votes in a hidden layer; without old images, also votes mixed into the network's answer."""
    for placement, k in product(("pixels", "early", "penultimate"), (1, 3, 8)):
        yield f"vote {placement}, k {k}", voting(old=old, placement=placement, k=k)
        for mixed in () if old else (1.0, 2.0, 4.0):
            yield f"mixed {mixed:g}, {placement}, k {k}", voting(old=old, placement=placement, mixed=mixed, k=k)


def fine_tunings(old: int) -> Trials:
    """Yield trials of Adam on the same images, for all weights or the last layer; without old images, also mixed."""
    for lr, steps, last in product((1e-4, 3e-4, 1e-3, 1e-2), (10, 50, 200), (False, True)):
        for mixed in (None,) if old else (None, 4.0):
            yield (
                f"fine-tuning {'the last layer' if last else 'all'}, {lr:g}, {steps} steps, mixed {mixed}",
                fine_tuning(old=old, lr=lr, steps=steps, last=last, mixed=mixed),
            )


def added_classes(old: int) -> None:
    """Print the balanced accuracy of every trial."""
    runs = {run.seed: run.state for run in train(OLD_NETWORK, SEEDS)}
    for family in (memories, votes, fine_tunings):
        results = []
        for name, fill in family(old):
            values = []
            for seed, state in runs.items():
                images = OLD_DIGITS.split(generator(seed, "split")).validation
                values.append(balanced_accuracy(fill(restore(OLD_NETWORK, seed, state), seed), images, GROUPS))
            results.append((sum(values) / len(values), name))
        for value, name in sorted(results, reverse=True):
            print(f"{value:.3f}  {name}", flush=True)
        print()


def main() -> None:
    """Run the trials of a choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("choice", choices=("step", "added", "gone"))
    choice = parser.parse_args().choice
    prepare_process()
    if choice == "step":
        step_sizes()
    else:
        added_classes(old=20 if choice == "added" else 0)


if __name__ == "__main__":
    main()
