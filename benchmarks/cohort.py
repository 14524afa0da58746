"""Measure what a seed axis saves: CPU time per seed and step in cohorts, compared with an ordinary training loop.

    python benchmarks/cohort.py [--repetitions 7] [--smoke]

Each model trains in memkit's trainer in cohorts of 1, 4, 16 and 32 seeds, and in a plain loop: the same network as an
ordinary ``torch.nn`` module with ordinary Adam, one seed after another (benchmarks/ordinary.py). All of them use one
thread and no denormal numbers. Times are CPU time, without building the model and without the first step. Every number
is the minimum of the repetitions, which are interleaved: disturbances only make a run slower.

The last column relates the floating-point operations of a seed's step (torch.utils.flop_counter, forward and backward)
per second, at 16 seeds, to the float32 matrix-product rate of one core, measured in the same run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import ordinary
import torch
from simulation import table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from fixtures.binding.recipes import EXECUTION_SLOTS, FACTORISED_SLOTS, LSTM, TRANSFORMER
from memkit import Recipe
from memkit.training.building import build, sampler
from memkit.training.process import prepare_process
from memkit.training.trainer import train

COHORTS = (1, 4, 16, 32)
MAIN_COHORT = 16


@dataclass(frozen=True)
class Case:
    """A model in memkit, as an optimised ordinary module (``plain``), and as a straightforward one (``first``)."""

    name: str
    recipe: Recipe
    plain: Callable[..., nn.Module]
    first: Callable[..., nn.Module] | None = None

    def module(self, kind: Callable[..., nn.Module]) -> nn.Module:
        """Return the ordinary module of a kind with the options of the recipe."""
        options = {name: value for name, value in self.recipe.options.items() if name not in ("addressing", "direct")}
        return kind(**self.recipe.task.sizes, **options)


CASES = (
    # The source's sizes: 3 variables x 5 actions, five or six tokens per command, batch 32, 4 slots of width 128.
    Case("slots by rule", EXECUTION_SLOTS.with_(width=128), ordinary.RuleSlots, ordinary.Stepwise),
    Case("factorised slots", FACTORISED_SLOTS, ordinary.FactorisedSlots, ordinary.StepwiseFactorised),
    Case("Transformer", TRANSFORMER, ordinary.Transformer, ordinary.Encoder),
    Case("LSTM", LSTM, ordinary.LSTM),
)
USERS = (ordinary.MLP, ordinary.SlotsOfVectors, ordinary.EncoderOfVectors)


def seed_step(recipe: Recipe, seeds: int, steps: int) -> float:
    """Return the CPU seconds per seed and step in a cohort."""
    times: list[float] = []
    train(recipe.with_(steps=steps), range(seeds), progress=lambda share: times.append(time.process_time()))
    return (times[-1] - times[0]) / (steps - 1) / (seeds if recipe.together else 1)


def minima(repetitions: int, *measures: Callable[[], float]) -> list[float]:
    """Return the minimum of each measure over the repetitions, which are interleaved."""
    rounds = [[measure() for measure in measures] for _ in range(repetitions)]
    return [min(column) for column in zip(*rounds, strict=True)]


def matrix_rate(size: int = 512) -> float:
    """Return the float32 operations per CPU second in a matrix product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    began = time.process_time()
    for _ in range(10):
        torch.mm(a, b)
    return 10 * 2 * size**3 / (time.process_time() - began)


def flops(recipe: Recipe) -> float:
    """Return the floating-point operations of a seed's step in matrix products and attention, forward and backward."""
    counter = FlopCounterMode(display=False)
    with counter:
        train(recipe.with_(steps=1), range(MAIN_COHORT))
    return counter.get_total_flops() / MAIN_COHORT


def where_time_goes(recipe: Recipe, steps: int) -> str:
    """Return the shares of a cohort's CPU time by kind of operation, measured by torch's profiler."""
    kinds = {
        "attention": ("scaled_dot_product",),
        "matrix products": ("::bmm", "::baddbmm", "::mm", "::addmm"),
        "optimiser": ("_fused_",),
        "copies and fills": ("::copy_", "::cat", "::fill_", "::stack", "::index", "embedding"),
        "autograd's bookkeeping": ("autograd::", "Backward"),
        "other operations": ("",),
    }
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        train(recipe.with_(steps=steps), range(MAIN_COHORT))
    spent = dict.fromkeys(kinds, 0.0)
    for event in profiler.key_averages():
        kind = next(kind for kind, parts in kinds.items() if any(part in event.key for part in parts))
        spent[kind] += event.self_cpu_time_total
    total = sum(spent.values())
    shares = sorted(((seconds / total, kind) for kind, seconds in spent.items()), reverse=True)
    return ", ".join(f"{kind} {100 * share:.0f} %" for share, kind in shares if share > 0.03)


def difference(case: Case, kind: Callable[..., nn.Module]) -> float:
    """Return the largest difference of logits between memkit's model and an ordinary module with its parameters."""
    seeded, plain = build(case.recipe, [0]), case.module(kind)
    values = {name.removeprefix("addressing."): tensor[0] for name, tensor in seeded.state_dict().items()}
    values = {name.replace(".attention.", "."): tensor for name, tensor in values.items()}
    linear = {f"{name}." for name, module in plain.named_modules() if isinstance(module, nn.Linear)}
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            value: Tensor = values[name]
            is_transposed = name.removesuffix("weight") in linear
            parameter.copy_(value.T if is_transposed else value.reshape(parameter.shape))
        inputs, _ = sampler(case.recipe, 0)(torch.Generator().manual_seed(0), 32)
        return float((seeded(inputs[None])[0] - plain(inputs)).abs().max())


def is_bit_identical(recipe: Recipe, steps: int) -> bool:
    """Return whether a seed has the same weights after training alone and in a cohort, to the bit."""
    recipe = recipe.with_(steps=steps)
    (alone,), runs = train(recipe, [5]), train(recipe, range(MAIN_COHORT))
    return all(torch.equal(tensor, runs[5].state[name]) for name, tensor in alone.state.items())


def milliseconds(seconds: float) -> str:
    """Return seconds as a text in milliseconds."""
    return f"{1e3 * seconds:.2f}"


def steps_of(seeds: int, steps: int) -> int:
    """Return the number of steps to measure, fewer for larger cohorts."""
    return max(2, steps // 4, 2 * steps // seeds)


def network(case: Case, repetitions: int, steps: int) -> list[str]:
    """Return a row of the table of networks."""
    loops = [case.plain, *([case.first] if case.first else [])]
    for kind in loops:  # torch's own layers have other names and layouts of parameters
        if kind not in (ordinary.LSTM, ordinary.Encoder) and (largest := difference(case, kind)) > 1e-4:
            raise SystemExit(f"{case.name}: the logits of {kind.__name__} differ from memkit's by {largest:.1e}")
    draw, recipe = sampler(case.recipe, 0), case.recipe.with_(steps=2 * steps)
    seconds_per_operation, *times = minima(
        repetitions,
        lambda: 1 / matrix_rate(),
        *(partial(seed_step, case.recipe, n, steps_of(n, steps)) for n in COHORTS),
        *(lambda kind=kind: ordinary.plain_loop(case.module(kind), recipe, draw) for kind in loops),
    )
    cohort_times, loop_times = times[: len(COHORTS)], times[len(COHORTS) :]
    main_time = cohort_times[COHORTS.index(MAIN_COHORT)]
    ratios = [cell for seconds in loop_times for cell in (milliseconds(seconds), f"{seconds / main_time:.1f}")]
    share = flops(case.recipe) * seconds_per_operation / main_time
    row = [case.name, *map(milliseconds, cohort_times), f"{1 / main_time:.0f}", *ratios, *["", ""] * (2 - len(loops))]
    return [*row, f"{100 * share:.0f} %"]


def networks(repetitions: int, steps: int) -> str:
    """Return the table of memkit's networks, and where their time goes."""
    rows, notes = [], []
    for case in CASES:
        rows.append(network(case, repetitions, steps))
        few = max(2, steps // 4)
        same = "the same" if is_bit_identical(case.recipe, few) else "NOT the same"
        notes.append(f"{case.name}: {where_time_goes(case.recipe, few)}; alone and in a cohort {same} to the bit")
    header = ["ms of CPU per seed-step", "1 seed", *(f"{n} seeds" for n in COHORTS[1:]), f"per s at {MAIN_COHORT}"]
    header += ["plain loop", "ratio", "naive loop", "ratio", "of matrix rate"]
    return table(header, rows) + f"\n\nwhere the CPU time of {MAIN_COHORT} seeds goes\n" + "\n".join(notes)


def user(model: Callable[[], nn.Module], repetitions: int, steps: int) -> list[str]:
    """Return a row of the table of users' modules."""
    recipe = Recipe(ordinary.vectors, model)
    plain, alone, *mapped = minima(
        repetitions,
        lambda: ordinary.plain_loop(model(), recipe.with_(steps=2 * steps), ordinary.vectors),
        lambda: seed_step(recipe, 1, 2 * steps),
        *(partial(seed_step, recipe.with_(vmap=True), n, steps_of(n, steps)) for n in COHORTS[1:]),
    )
    ratio = plain / mapped[COHORTS.index(MAIN_COHORT) - 1]
    return [model.__name__, *map(milliseconds, (plain, alone, *mapped)), f"{ratio:.1f}"]


def users(repetitions: int, steps: int) -> str:
    """Return the table of users' modules, trained seed by seed and by vmap."""
    header = ["a user's own module", "plain loop", "seed by seed", *(f"vmap, {n}" for n in COHORTS[1:])]
    return table([*header, f"ratio at {MAIN_COHORT}"], [user(model, repetitions, steps) for model in USERS])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7, help="repetitions per measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="one repetition of a few steps, to check that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, steps = (1, 4) if options.smoke else (options.repetitions, 48)
    prepare_process()
    for _ in range(20):  # warm up: the core may have been idle
        matrix_rate()
    rate = max(matrix_rate() for _ in range(5 * repetitions))
    print(f"minimum of {repetitions} repetitions; {rate / 1e9:.0f} GFLOP/s in float32 matrix products on one core\n")
    print(networks(repetitions, steps), end="\n\n")
    print(users(repetitions, steps))


if __name__ == "__main__":
    main()
