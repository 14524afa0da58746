"""Trials of the memories' settings on development seeds: ``python -m claims.recall.tuning linformer``.

In no trial did any memory but the slots tell one fact from another; fixtures/recall/recipes.py has the chosen settings.
LinformerMemory had an earlier grid of 30 trials, ranked by the gain over the memory off, a measure that rewards a
network for depending on a constant. Both grids vary the norm, the size and sharpness of its writes, and how much of
what it reads is added at first. At that time trials had 150 steps, and training went on fact by fact. The slots were
also tuned by hand: some 30 trials while they were designed, and some 20 when their training was shortened.

Prints for each trial, over development seeds 0 and 1: exact match with eight facts and with one, and how many more nats
per token the memory of the right fact saves than that of another, on facts and text that were not trained on. A ranking
follows at the end, best first.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from fixtures.recall.recipes import DOCUMENTED, LEARNT, SLOTS, TUNED_LINFORMER, unseen
from memkit import Recipe
from memkit.models.recalling import on, other_facts
from memkit.tasks.recall_scoring import scores
from memkit.training.building import restore
from memkit.training.process import prepare_process
from memkit.training.trainer import train

SEEDS = range(2)
FAMILIES = {"slots": SLOTS, "linformer": TUNED_LINFORMER, "learnt": LEARNT, "documented": DOCUMENTED}
RATES = (1e-3, 3e-3, 1e-2)


def trials(family: str) -> Iterator[Mapping[str, Any]]:
    """Yield the changes to a family's recipe that are tried."""
    if family == "slots":
        for soft, sharpness in product((20, 30, 60), (4.0, 8.0, 16.0)):
            yield {"memory": {"kind": "slots", "soft": soft, "sharpness": sharpness}}
        for lr in (1e-3, 5e-3, 1e-2):
            yield {"lr": lr}
    elif family == "linformer":
        for rate, initial, (lr, temperature) in product(
            RATES, (0.02, 1.0, 3.0), ((0.01, 1.0), (1.0, 1.0), (1.0, 0.02))
        ):
            yield {
                "lr": rate,
                "memory": {"kind": family, "lr": lr, "temperature": temperature, "initial": initial},
            }
        for lr, initial in ((0.01, 0.02), (1.0, 0.02), (1.0, 3.0)):
            yield {"memory": {"kind": family, "norm": "layer", "lr": lr, "temperature": 0.02, "initial": initial}}
    elif family == "learnt":
        for rate, slots, heads in product(RATES, (8, 16), (1, 4)):
            yield {"lr": rate, "memory": {"kind": family, "slots": slots, "heads": heads}}
    else:
        for rate, low_rank in product(RATES, (8, 32)):
            yield {"lr": rate, "memory": {"kind": family, "low_rank": low_rank}}


def score(recipe: Recipe) -> dict[str, float]:
    """Return each score's mean over the development seeds."""
    rows: list[tuple[float, float, float, float]] = []
    for run in train(recipe, SEEDS):
        model: Any = restore(recipe, run.seed, run.state)
        eight = scores(on(model), unseen("closed", run.seed))["exact match"]
        one = unseen("closed", run.seed, facts=1, asked=1, count=384)
        own, others = scores(on(model), one), scores(other_facts(model), one)
        gain = others["nats a token"] - own["nats a token"]
        rows.append((eight, own["exact match"], gain, run.metrics["steps"]))
    names = ("eight facts", "one fact", "nats gained", "steps")
    return {name: sum(column) / len(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def main() -> None:
    """Run a family's trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    family = parser.parse_args().family
    prepare_process()
    results = []
    for number, change in enumerate(trials(family), start=1):
        results.append((score(FAMILIES[family].with_(**change)), change))
        print(f"{number:>3}  {in_words(results[-1][0])}  {change}", flush=True)
    print(f"\n{family}, best first")
    for means, change in sorted(results, key=lambda result: (-result[0]["eight facts"], -result[0]["nats gained"])):
        print(f"     {in_words(means)}  {change}")


def in_words(means: Mapping[str, float]) -> str:
    """Return a trial's results as a line of text."""
    return "  ".join(f"{name} {value:.3f}" for name, value in means.items())


if __name__ == "__main__":
    main()
