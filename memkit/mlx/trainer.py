"""Training in MLX: all seeds of a cohort in one program, by mapping one seed's loss over their parameters.

A network is written for one seed (memkit/mlx/models/, or any ``mlx.nn.Module``). Its parameters are stacked along a
leading axis, and ``mx.vmap`` makes of one seed's loss that of all; the gradient of the sum of the losses holds each
seed's own. Data come from the streams that torch's trainer draws from, so a recipe meets the same examples on both
backends; initial values and noise are MLX's own draws, from a stream of the seed.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import torch
from mlx import nn
from mlx.optimizers import SGD, Adam, AdamW, Optimizer
from mlx.utils import tree_flatten, tree_map, tree_unflatten
from torch import Tensor

from memkit.errors import MemkitError
from memkit.mlx.bridge import FromMLX, to_mlx, to_torch
from memkit.mlx.losses import cross_entropy
from memkit.mlx.models.addressing import Noise
from memkit.mlx.models.layers import Keys
from memkit.recipes.recipe import MLX_NETWORKS
from memkit.recipes.references import reference, resolve
from memkit.training.building import sampler
from memkit.training.protocols import AfterBatch, EndsEarly, sizes_of, state_size_of
from memkit.training.streams import generator, stream_seed
from memkit.training.trained_run import TrainedRun

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_HISTORY_POINTS = 100

Tree = Any
"""Parameters as ``mlx.nn.Module.parameters`` nests them."""


def train(recipe: Recipe, seeds: Sequence[int], *, progress: Callable[[float], None] | None = None) -> list[TrainedRun]:
    """Train a recipe on some seeds, together.

    Args:
        seeds: distinct seeds.
        progress: called now and then with the share that is done, 0 to 1.
    """
    started = time.process_time()
    networks = [make(recipe, seed) for seed in seeds]
    template, state_size = networks[0], state_size_of(networks[0])
    parameters = tree_map(lambda *parts: mx.stack(parts), *(network.trainable_parameters() for network in networks))
    if not tree_flatten(parameters):
        raise MemkitError(f"Recipe: {type(template).__name__} has no parameters to train")
    step_of = _Step(recipe, template, seeds)
    state = step_of.optimizer_state(parameters)
    samplers = [sampler(recipe, seed) for seed in seeds]
    streams = [generator(seed, "data", recipe.stream) for seed in seeds]
    told = [draw if isinstance(draw, AfterBatch) else None for draw in samplers]
    ends_early = [draw if isinstance(draw, EndsEarly) else None for draw in samplers]
    every = max(1, recipe.steps // _HISTORY_POINTS)
    histories: list[list[tuple[int, float]]] = [[] for _ in seeds]
    diverged = [""] * len(seeds)
    runs: dict[int, TrainedRun] = {}
    sizes = sum(array[0].size for _, array in tree_flatten(parameters))
    for step in range(1, recipe.steps + 1):
        batches = [draw(stream, recipe.batch) for draw, stream in zip(samplers, streams, strict=True)]
        inputs, targets = (torch.stack(part) for part in zip(*batches, strict=True))
        parameters, state, losses, outputs = step_of(
            parameters, state, to_mlx(inputs), to_mlx(targets), mx.array(step - 1.0)
        )
        mx.eval(parameters, state, losses)
        if any(told):
            seen = to_torch(outputs)
            for row, draw in enumerate(told):
                if draw is not None:
                    draw.saw(seen[row], targets[row])
        values: list[float] = losses.tolist()  # type: ignore[assignment]
        for i, value in enumerate(values):
            if not diverged[i] and not math.isfinite(value):
                diverged[i] = f"the loss was {value} at step {step}"
        last = step == recipe.steps or all(diverged[i] or i in runs for i in range(len(seeds)))
        noted = step % every == 0 or step == 1
        for i, value in enumerate(values):
            teacher = ends_early[i]
            ends = i not in runs and (last or (teacher is not None and bool(teacher.finished)))
            if (noted or ends) and i not in runs:
                histories[i].append((step, value))
            if ends:
                found = {name: to_torch(array[i]) for name, array in tree_flatten(parameters)}
                broken = not all(bool(torch.isfinite(tensor).all()) for tensor in found.values())
                share = (time.process_time() - started) / len(seeds)
                metrics = {"loss": value, "steps": step, "parameters": sizes, "cpu_seconds": round(share, 3)}
                runs[i] = TrainedRun(
                    seed=seeds[i],
                    state=found,
                    metrics=metrics if state_size is None else {**metrics, "state_size": state_size},
                    history=tuple(histories[i]),
                    diverged=diverged[i] or ("a weight was not finite at the end" if broken else ""),
                )
        if noted and progress is not None:
            progress(step / recipe.steps)
        if len(runs) == len(seeds):
            break
    if progress is not None:
        progress(1.0)
    return [runs[i] for i in range(len(seeds))]


def make(recipe: Recipe, seed: int) -> nn.Module:
    """The untrained network of one seed."""
    made = resolve(MLX_NETWORKS.get(reference(recipe.model), reference(recipe.model)))
    options = {**sizes_of(recipe.task), **recipe.options}
    start = stream_seed(seed, "initial values", recipe.stream)
    if "keys" in inspect.signature(made).parameters:
        network = made(keys=Keys(start), **options)
    else:
        with _drawing_from(start):
            network = made(**options)
    if not isinstance(network, nn.Module):
        raise MemkitError(f"Recipe: {recipe.model!r} made a {type(network).__name__}; it should make an mlx.nn.Module")
    mx.eval(network.parameters())
    return network


def build(recipe: Recipe, seed: int) -> Any:
    """The untrained network of one seed, as a claim's test sees it."""
    return _seen(recipe, make(recipe, seed))


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor]) -> Any:
    """The trained network of one seed, in evaluation mode, as a claim's test sees it."""
    network = make(recipe, seed)
    network.load_weights([(name, to_mlx(tensor)) for name, tensor in state.items()], strict=True)
    return _seen(recipe, network)


def _seen(recipe: Recipe, network: nn.Module) -> Any:
    """Return what a test is given: a network of memkit's wrapped for torch, and any other module as it is."""
    network.eval()
    return FromMLX(network) if reference(recipe.model) in MLX_NETWORKS else network


class _Step:
    """A step of a cohort: parameters, optimiser state and batches → new ones, the losses [S] and what came out."""

    def __init__(self, recipe: Recipe, template: nn.Module, seeds: Sequence[int]) -> None:
        self.recipe, self.template = recipe, template
        self.optimizer = _optimizer(recipe)
        self.noisy = bool(getattr(template, "noisy", False))
        self.charges = bool(getattr(template, "balance", 0.0))
        self.keys = mx.stack([mx.random.key(stream_seed(seed, "noise", recipe.stream)) for seed in seeds])
        template.train()
        self.gradient = mx.value_and_grad(self._losses)

    def optimizer_state(self, parameters: Tree) -> Tree:
        """Initialise the optimiser for parameters, and return its state before the first step."""
        self.optimizer.init(parameters)
        return self.optimizer.state

    def __call__(
        self, parameters: Tree, state: Tree, inputs: mx.array, targets: mx.array, step: mx.array
    ) -> tuple[Tree, Tree, mx.array, mx.array]:
        pairs = mx.vmap(mx.random.split)(self.keys)
        self.keys = pairs[:, 0]
        (_, losses, outputs), gradients = self.gradient(parameters, inputs, targets, pairs[:, 1], step)
        if self.recipe.clip is not None:
            gradients = _clipped(gradients, self.recipe.clip)
        if self.recipe.optimizer == "adam" and self.recipe.weight_decay:  # as in torch: part of the gradient
            decay = self.recipe.weight_decay
            gradients = tree_map(lambda gradient, own: gradient + decay * own, gradients, parameters)
        self.optimizer.state = state
        return self.optimizer.apply_gradients(gradients, parameters), self.optimizer.state, losses, outputs

    def _losses(
        self, parameters: Tree, inputs: mx.array, targets: mx.array, keys: mx.array, step: mx.array
    ) -> tuple[mx.array, mx.array, mx.array]:
        def of_one(own: Tree, x: mx.array, y: mx.array, key: mx.array) -> tuple[mx.array, mx.array, mx.array]:
            self.template.update(own)
            outputs = self.template(x, noise=Noise(key, step)) if self.noisy else self.template(x)
            loss = cross_entropy(outputs, y)
            return loss, loss + self.template.charge(x) if self.charges else loss, outputs

        losses, charged, outputs = mx.vmap(of_one)(parameters, inputs, targets, keys)
        # The sum keeps the seeds apart: each seed's parameters get the gradient of its own loss alone.
        return charged.sum(), losses, outputs


def _optimizer(recipe: Recipe) -> Optimizer:
    """The recipe's optimiser, with torch's defaults."""
    if recipe.optimizer == "sgd":
        return SGD(recipe.lr, weight_decay=recipe.weight_decay)
    common: dict[str, Any] = {"betas": [0.9, 0.999], "eps": 1e-8, "bias_correction": True}
    if recipe.optimizer == "adamw":
        return AdamW(recipe.lr, weight_decay=recipe.weight_decay, **common)
    return Adam(recipe.lr, **common)


def _clipped(gradients: Tree, limit: float) -> Tree:
    """Each seed's gradient scaled to a norm of at most ``limit``."""
    squares = sum(array.square().reshape(len(array), -1).sum(1) for _, array in tree_flatten(gradients))
    scale = mx.minimum(1.0, limit / mx.maximum(mx.sqrt(squares), 1e-12))
    scaled = [(name, array * scale.reshape(-1, *[1] * (array.ndim - 1))) for name, array in tree_flatten(gradients)]
    return tree_unflatten(scaled)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Within it MLX's own generator stands at a seed; after it, where it stood before."""
    state: Any = mx.random.state
    high, low = state[0].tolist()
    mx.random.seed(seed)
    try:
        yield
    finally:
        mx.random.seed(high << 32 | low)  # the halves of the seed are the generator's state
