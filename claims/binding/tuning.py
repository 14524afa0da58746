"""The tuning of the headline claim's arms on development seeds: ``python -m claims.binding.tuning lstm``.

Prints each trial's mean accuracy on held-out combinations over development seeds 0 to 7, best first. Slot networks had
32 trials: the twelve here, and some twenty earlier ones on other vocabularies, which set the initial reading time and
the scale of the embeddings. The controls therefore get 32 or more trials here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from fixtures.binding.recipes import FACTORISED_SLOTS, LSTM, TRANSFORMER, UNFACTORISED_SLOTS
from memkit import Recipe
from memkit.tasks.scoring import accuracy
from memkit.training.building import restore
from memkit.training.process import prepare_process
from memkit.training.streams import generator
from memkit.training.trainer import train

SEEDS = range(8)
FAMILIES = {
    "factorised": FACTORISED_SLOTS,
    "unfactorised": UNFACTORISED_SLOTS,
    "lstm": LSTM.with_(layers=1, width=53),
    "transformer": TRANSFORMER,
}
RATES = {"lr": (1e-3, 3e-3, 1e-2), "weight_decay": (0.0, 0.1, 0.5)}
SLOT_SHAPES: tuple[Mapping[str, Any], ...] = ({"slots": 8}, {"slots": 32}, {"sharpness": 2.0})
CONTROL_RATES: tuple[Mapping[str, Any], ...] = (
    *({"lr": lr, "weight_decay": decay} for lr, decay in product((3e-4, 2e-3, 5e-3), (0.0, 0.1))),
    *({"lr": lr, "weight_decay": 0.1, "clip": 1.0} for lr in (1e-3, 3e-3, 1e-2)),
    *({"lr": lr, "weight_decay": 1.0} for lr in (1e-3, 3e-3)),
    *({"lr": lr, "weight_decay": 0.1, "batch": 16, "steps": 1000} for lr in (1e-3, 3e-3)),
    *({"lr": lr, "weight_decay": 0.1, "batch": 64, "steps": 250} for lr in (3e-3, 1e-3)),
)
SHAPES: dict[str, tuple[Mapping[str, Any], ...]] = {
    "factorised": SLOT_SHAPES,
    "unfactorised": SLOT_SHAPES,
    "lstm": tuple(
        {"lr": lr, "weight_decay": 0.1, "layers": layers, "width": width}
        for lr in (1e-3, 3e-3)
        for layers, width in ((2, 36), (3, 29), (1, 104), (1, 72))
    ),
    "transformer": tuple(
        {"lr": 3e-3, "weight_decay": 0.1, **shape}
        for shape in (
            {"layers": 1, "width": 52},
            {"layers": 3, "width": 28},
            {"layers": 4, "width": 24},
            {"heads": 1},
            {"heads": 2},
            {"expansion": 1, "width": 44},
            {"expansion": 4, "width": 28},
            {"width": 64},
        )
    ),
}


# Depth helped the LSTM most, so more depths were tried.
DEEPER_LSTMS: tuple[Mapping[str, Any], ...] = (
    *({"layers": 3, "width": 30, "lr": 1e-3, "weight_decay": decay} for decay in (0.1, 0.5, 1.0)),
    *({"layers": 3, "width": 30, "lr": lr, "weight_decay": 0.1} for lr in (2e-3, 5e-4)),
    {"layers": 4, "width": 26, "lr": 1e-3, "weight_decay": 0.1},
)


def trials(family: str) -> Iterator[dict[str, Any]]:
    """Yield the changes to a family's recipe that are tried."""
    for lr, decay in product(*RATES.values()):
        yield {"lr": lr, "weight_decay": decay}
    yield from (dict(shape) for shape in SHAPES[family])
    if family in ("lstm", "transformer"):
        yield from (dict(rate) for rate in CONTROL_RATES)
    if family == "lstm":
        yield from (dict(shape) for shape in DEEPER_LSTMS)


def mean_accuracy(recipe: Recipe) -> float:
    """Return the mean accuracy on the combinations that each development seed holds out."""
    values = []
    for run in train(recipe, SEEDS):
        commands = recipe.task.commands(generator(run.seed, "split"), "held_out")
        values.append(accuracy(restore(recipe, run.seed, run.state), commands))
    return sum(values) / len(values)


def main() -> None:
    """Run a family's trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    family = parser.parse_args().family
    prepare_process()
    results = []
    for number, change in enumerate(trials(family), start=1):
        results.append((mean_accuracy(FAMILIES[family].with_(**change)), change))
        print(f"{number:>3}  {results[-1][0]:.3f}  {change}", flush=True)
    print(f"\n{family}, best first")
    for value, change in sorted(results, key=lambda result: -result[0]):
        print(f"     {value:.3f}  {change}")


if __name__ == "__main__":
    main()
