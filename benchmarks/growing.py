"""Measure what it costs that a growing network trains in tensors of the final size.

    python benchmarks/growing.py [--repetitions 7] [--smoke]

The growing network of the study (64 and 32 hidden units, 256 and 128 in the end, three growth events one epoch apart,
four epochs of digits) trains in memkit's trainer, alone and in a cohort of 16, and in a plain loop over seeds with
``torch.nn`` layers of the current size, which are replaced by larger ones at each event, and with a new Adam after each
event. The same is measured for a network that has the final size from the start. All runs use one thread and no
denormal numbers. Times are CPU seconds per seed, the minimum of the repetitions, which are interleaved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
from simulation import table
from torch import nn
from torch.nn import functional as F

from fixtures.growth.recipes import EPOCH, FIXED, SMALL_WIDTHS, WIDER, WIDTHS
from memkit import Recipe
from memkit.models.growth import Growth
from memkit.training.building import sampler
from memkit.training.process import prepare_process
from memkit.training.streams import generator
from memkit.training.trainer import train

COHORT = 16


def network(widths: Sequence[int]) -> nn.Sequential:
    """Return an MLP of torch.nn layers for the digits' 64 pixels and 10 classes."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in zip((64, *widths), widths, strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))


def larger(small: nn.Sequential, widths: Sequence[int]) -> nn.Sequential:
    """Return a wider network that has the weights of a smaller one in its first rows and columns."""
    wider = network(widths)
    with torch.no_grad():
        for new, old in zip(wider.parameters(), small.parameters(), strict=True):
            new[tuple(map(slice, old.shape))] = old
    return wider


def plain_loop(growth: Growth | None, steps: int) -> float:
    """Return the CPU seconds per seed in a plain loop, with validation at the steps at which the recipe validates."""
    draw, stream = sampler(FIXED, 0), generator(0, "data")
    began = time.process_time()
    model = network(WIDTHS if growth is None else SMALL_WIDTHS)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(1, steps + 1):
        inputs, targets = draw(stream, 32)
        optimiser.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimiser.step()
        if step % EPOCH == 0 or step == steps:
            with torch.no_grad():
                F.cross_entropy(model(draw.validation[0]), draw.validation[1])  # type: ignore[attr-defined]
            if growth is not None and step < steps:
                model = larger(model, growth.widths_after(step // EPOCH, WIDTHS))
                optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    return time.process_time() - began


def memkit_seconds(recipe: Recipe, seeds: int) -> float:
    """Return the CPU seconds per seed in memkit's trainer."""
    began = time.process_time()
    train(recipe, range(seeds))
    return (time.process_time() - began) / seeds


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7, help="repetitions per measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one repetition of 48 steps, to check that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, steps = (1, EPOCH * 3 // 2) if options.smoke else (options.repetitions, FIXED.steps)
    prepare_process()
    growth = Growth.of(WIDER.options["growth"], WIDTHS)
    measures: list[Callable[[], float]] = []
    for recipe, plain in ((WIDER.with_(steps=steps), growth), (FIXED.with_(steps=steps), None)):
        measures += [
            lambda recipe=recipe: memkit_seconds(recipe, 1),  # type: ignore[misc]
            lambda recipe=recipe: memkit_seconds(recipe, COHORT),  # type: ignore[misc]
            lambda plain=plain: plain_loop(plain, steps),  # type: ignore[misc]
        ]
    for measure in measures:  # warm up: some modules are loaded on first use
        measure()
    rounds = [[measure() for measure in measures] for _ in range(repetitions)]
    minima = [min(column) for column in zip(*rounds, strict=True)]
    rows = []
    for name, (alone, cohort, loop) in zip(("growing", "final size"), (minima[:3], minima[3:]), strict=True):
        rows.append([name, *(f"{1e3 * s:.0f}" for s in (alone, cohort, loop)), f"{loop / cohort:.1f}"])
    print(f"minimum of {repetitions} repetitions, {steps} steps\n")
    print(table(["ms of CPU per seed", "alone", f"cohort of {COHORT}", "plain loop", "ratio"], rows))


if __name__ == "__main__":
    main()
