"""Trials that chose the study's free settings: ``python -m claims.growth.tuning step``.

``step`` tries the memory's step size, for each network that has a memory. ``rate`` tries the learning rate of every
network, and learning rate and step size together for networks with a memory. Trials are ranked, best first, by accuracy
on the validation images of development seeds 0 to 7 after the last step. No test image is used.
"""

from __future__ import annotations

import argparse
from itertools import product

from fixtures.growth.recipes import DEEP, DEEPER, FIXED, LARGE, MEMORY, SMALL, WIDER, remembering
from memkit import Recipe
from memkit.training.process import prepare_process
from memkit.training.trainer import train

SEEDS = range(8)
STEP_SIZES = (2.0, 5.0, 10.0, 20.0, 50.0)
RATES = (3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 4e-2)


def trials(choice: str) -> dict[str, dict[str, Recipe]]:
    """Return the trials of a choice: network → trial → recipe."""
    memories = {"growing": WIDER, "of the final size": FIXED}
    if choice == "step":
        return {
            f"{name}, with a memory": {
                f"step size {eta:g}": remembering(network, MEMORY.with_(step_size=eta)) for eta in STEP_SIZES
            }
            for name, network in memories.items()
        }
    plain = {
        "small": SMALL,
        "of the final size": FIXED,
        "deep": DEEP,
        "large": LARGE,
        "growing": WIDER,
        "deeper": DEEPER,
    }
    recipes = {name: {f"rate {lr:g}": network.with_(lr=lr) for lr in RATES} for name, network in plain.items()}
    for name, network in memories.items():
        recipes[f"{name}, with a memory"] = {
            f"rate {lr:g}, step size {eta:g}": remembering(network.with_(lr=lr), MEMORY.with_(step_size=eta))
            for lr, eta in product((1e-3, 3e-3, 1e-2), STEP_SIZES)
        }
    return recipes


def main() -> None:
    """Run the trials of a choice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("choice", choices=("step", "rate"))
    prepare_process()
    for network, recipes in trials(parser.parse_args().choice).items():
        results = []
        for name, recipe in recipes.items():
            accuracies = [run.validation[-1][2] for run in train(recipe, SEEDS)]
            results.append((sum(accuracies) / len(accuracies), name))
        for value, name in sorted(results, reverse=True):
            print(f"{value:.4f}  {network}: {name}", flush=True)
        print()


if __name__ == "__main__":
    main()
