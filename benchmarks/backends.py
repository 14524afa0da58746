"""Compare torch with MLX: CPU time per seed and step, of the same recipes, side by side in one run.

    python benchmarks/backends.py [--repetitions 5] [--smoke]

Each network trains in cohorts of 1 and 16 seeds with both trainers. In MLX the seeds are mapped by ``mx.vmap``, which
is compared for the LSTM with the same network written with a seed axis. Times are CPU time of all threads, without the
time to build the networks and without the first step. Every number is the minimum of the repetitions, which are
interleaved.

The last table compares basic operations: matrix products of the sizes that occur in the networks, and exponentials. The
source's script took 45 ms of CPU per step of the network of slots by rule (batch 32, width 128).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from functools import partial

if importlib.util.find_spec("mlx") is None:
    sys.exit(print("MLX is not installed, so there is nothing to compare; install memkit with its extra [mlx]"))

import mlx.core as mx
import torch
from cohort import milliseconds, minima
from mlx.utils import tree_map
from simulation import table

from fixtures.binding.recipes import EXECUTION_SLOTS, FACTORISED_SLOTS, LSTM, TRANSFORMER
from memkit import Recipe
from memkit.mlx import trainer as mlx
from memkit.mlx.bridge import to_mlx
from memkit.mlx.losses import cross_entropy
from memkit.recipes import backends
from memkit.training.building import sampler
from memkit.training.process import prepare_process
from memkit.training.streams import generator

SEEDS = 16
PUBLISHED = 45e-3
CASES = {
    "slots by rule": EXECUTION_SLOTS.with_(width=128),
    "factorised slots": FACTORISED_SLOTS,
    "Transformer": TRANSFORMER,
    "LSTM": LSTM.with_(layers=1),
}


def seed_step(recipe: Recipe, seeds: int, steps: int) -> float:
    """Return the CPU seconds per seed and step in a cohort."""
    times: list[float] = []
    backends.train(recipe.with_(steps=steps), range(seeds), progress=lambda share: times.append(time.process_time()))
    return (times[steps - 1] - times[0]) / (steps - 1) / seeds


def batches(recipe: Recipe) -> tuple[mx.array, mx.array]:
    """Draw the inputs and targets of a step, [S, B, ...] each."""
    drawn = [sampler(recipe, seed)(generator(seed, "data", ""), recipe.batch) for seed in range(SEEDS)]
    inputs, targets = (torch.stack(part) for part in zip(*drawn, strict=True))
    return to_mlx(inputs), to_mlx(targets)


def with_a_seed_axis(parameters: dict[str, mx.array], tokens: mx.array, hidden: int) -> mx.array:
    """Return the logits [S, B, P·answers] of an LSTM network of one layer with a seed axis, for tokens [S, B, L]."""

    def linear(x: mx.array, name: str) -> mx.array:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return (flat @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"][:, None]).reshape(*x.shape[:-1], -1)

    words = parameters["embedding.weight"]
    one_hot = (tokens[..., None] == mx.arange(words.shape[1])).astype(words.dtype)
    x = (one_hot.reshape(len(words), -1, words.shape[1]) @ words).reshape(*tokens.shape, -1)
    inward = linear(x, "layers.0.inward")
    h = cell = mx.zeros((*tokens.shape[:2], hidden))
    for t in range(tokens.shape[2]):
        into, forget, out, candidate = mx.split(inward[:, :, t] + h @ parameters["layers.0.recurrent"], 4, -1)
        cell = mx.sigmoid(forget) * cell + mx.sigmoid(into) * mx.tanh(candidate)
        h = mx.sigmoid(out) * mx.tanh(cell)
    return linear(h, "decoder")


def gradients(mapped: bool, steps: int) -> float:
    """Return the CPU seconds per seed for the LSTM's loss and gradients: mapped over seeds, or with a seed axis."""
    recipe = CASES["LSTM"].with_(backend="mlx")
    networks = [mlx.make(recipe, seed) for seed in range(SEEDS)]
    template = networks[0]
    stacked = tree_map(lambda *parts: mx.stack(parts), *(network.trainable_parameters() for network in networks))
    flat = dict(mlx.tree_flatten(stacked))
    inputs, targets = batches(recipe)
    hidden = recipe.options["width"]

    def loss_of_one(parameters: object, x: mx.array, y: mx.array) -> mx.array:
        template.update(parameters)
        return cross_entropy(template(x), y)

    def loss_of_all(parameters: dict[str, mx.array]) -> mx.array:
        logits = with_a_seed_axis(parameters, inputs, hidden).reshape(*targets.shape, -1)
        return mx.vmap(cross_entropy)(logits, targets).sum()

    if mapped:
        gradient = mx.grad(lambda parameters: mx.vmap(loss_of_one)(parameters, inputs, targets).sum())
    else:
        gradient = mx.grad(loss_of_all)
    parameters = stacked if mapped else flat
    mx.eval(gradient(parameters))
    began = time.process_time()
    for _ in range(steps):
        mx.eval(gradient(parameters))
    return (time.process_time() - began) / steps / SEEDS


def largest_difference() -> float:
    """Return the largest absolute difference between the logits with vmap and with a seed axis."""
    recipe = CASES["LSTM"].with_(backend="mlx")
    network = mlx.make(recipe, 0)
    inputs, _ = batches(recipe)
    parameters = {name: array[None] for name, array in mlx.tree_flatten(network.trainable_parameters())}
    one = with_a_seed_axis(parameters, inputs[:1], recipe.options["width"]).reshape(-1)
    return float(mx.abs(one - network(inputs[0]).reshape(-1)).max())


def rate(calculate: Callable[[], object], operations: float, times: int = 20) -> float:
    """Return the number of operations per CPU second."""
    calculate()
    began = time.process_time()
    for _ in range(times):
        calculate()
    return times * operations / (time.process_time() - began)


def basic_operations() -> list[tuple[str, str, str, str]]:
    """Return rows of the rates of basic operations in torch and in MLX, and their ratio."""
    rows = []
    for count, inner, outer in ((512, 512, 512), (768, 64, 64), (32, 64, 256)):
        a, b = torch.randn(count, inner), torch.randn(inner, outer)
        x, y = to_mlx(a), to_mlx(b)
        operations = 2.0 * count * inner * outer
        in_torch, in_mlx = rate(lambda a=a, b=b: a @ b, operations), rate(lambda x=x, y=y: mx.eval(x @ y), operations)
        name = f"product of {count} × {inner} and {inner} × {outer}, GFLOP/s"
        rows.append((name, f"{in_torch / 1e9:.1f}", f"{in_mlx / 1e9:.1f}", f"{in_torch / in_mlx:.1f}"))
    a = torch.randn(2**18)
    x = to_mlx(a)
    in_torch, in_mlx = rate(lambda: a.exp(), len(a)), rate(lambda: mx.eval(mx.exp(x)), len(a))
    in_millions = (f"{in_torch / 1e6:.0f}", f"{in_mlx / 1e6:.0f}")
    rows.append(("exponentials, millions per second", *in_millions, f"{in_torch / in_mlx:.1f}"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a few steps, to check that it runs")
    options = parser.parse_args()
    repetitions, steps = (1, 3) if options.smoke else (options.repetitions, 40)
    prepare_process()
    rows = []
    for name, recipe in CASES.items():
        mlx_recipe = recipe.with_(backend="mlx")
        measures = [partial(seed_step, r, n, steps) for r in (recipe, mlx_recipe) for n in (1, SEEDS)]
        torch_one, torch_many, mlx_one, mlx_many = minima(repetitions, *measures)
        times = [milliseconds(seconds) for seconds in (torch_one, torch_many, mlx_one, mlx_many)]
        published = f"{PUBLISHED / mlx_many:.0f}" if name == "slots by rule" else ""
        rows.append((name, *times, f"{1 / mlx_many:.0f}", f"{mlx_many / torch_many:.1f}", published))
    header = ("ms of CPU per seed-step", "torch, 1", "torch, 16", "MLX, 1", "MLX, 16", "per s", "MLX over torch")
    print(table((*header, "source over MLX"), rows))
    mapped, axis = minima(repetitions, partial(gradients, True, steps), partial(gradients, False, steps))
    cells = (milliseconds(mapped), milliseconds(axis), f"{axis / mapped:.2f}", f"{largest_difference():.0e}")
    print()
    print(
        table(
            ("LSTM in MLX, loss and gradient of 16 seeds", "vmap", "seed axis", "ratio", "difference"),
            [("ms of CPU per seed", *cells)],
        )
    )
    print()
    print(table(("basic operations", "torch", "MLX", "ratio"), basic_operations()))


if __name__ == "__main__":
    main()
