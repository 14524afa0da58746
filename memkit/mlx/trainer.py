"""Training in MLX: all seeds of a cohort in one program, by mapping the loss of one seed over their parameters.

A network is written for one seed (memkit/mlx/models/, or any ``mlx.nn.Module``). The parameters of all seeds are
stacked along a leading axis, and ``mx.vmap`` turns the loss of one seed into the losses of all. The gradient of the sum
of the losses contains the gradient of each seed. The data come from the same streams as in torch's trainer, so that a
recipe is trained on the same examples in both backends. Initial values and noise are drawn by MLX, from streams of each
seed.
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
"""Parameters, nested like ``mlx.nn.Module.parameters()``."""


def train(recipe: Recipe, seeds: Sequence[int], *, progress: Callable[[float], None] | None = None) -> list[TrainedRun]:
    """Train a recipe on some seeds together.

    Args:
        seeds: distinct seeds.
        progress: called from time to time with the share that is done, 0 to 1.

    Raises:
        MemkitError: the network has no parameters to train.
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
    listeners = [draw if isinstance(draw, AfterBatch) else None for draw in samplers]
    ends_early = [draw if isinstance(draw, EndsEarly) else None for draw in samplers]
    record_interval = max(1, recipe.steps // _HISTORY_POINTS)
    histories: list[list[tuple[int, float]]] = [[] for _ in seeds]
    diverged = [""] * len(seeds)
    runs: dict[int, TrainedRun] = {}
    parameter_count = sum(array[0].size for _, array in tree_flatten(parameters))
    for step in range(1, recipe.steps + 1):
        batches = [draw(stream, recipe.batch) for draw, stream in zip(samplers, streams, strict=True)]
        inputs, targets = (torch.stack(part) for part in zip(*batches, strict=True))
        parameters, state, losses, outputs = step_of(
            parameters, state, to_mlx(inputs), to_mlx(targets), mx.array(step - 1.0)
        )
        mx.eval(parameters, state, losses)
        if any(listeners):
            outputs_of_batch = to_torch(outputs)
            for row, draw in enumerate(listeners):
                if draw is not None:
                    draw.saw(outputs_of_batch[row], targets[row])
        values: list[float] = losses.tolist()  # type: ignore[assignment]
        for i, value in enumerate(values):
            if not diverged[i] and not math.isfinite(value):
                diverged[i] = f"the loss was {value} at step {step}"
        last = step == recipe.steps or all(diverged[i] or i in runs for i in range(len(seeds)))
        is_recorded = step % record_interval == 0 or step == 1
        for i, value in enumerate(values):
            ending_sampler = ends_early[i]
            has_ended = i not in runs and (last or (ending_sampler is not None and bool(ending_sampler.finished)))
            if (is_recorded or has_ended) and i not in runs:
                histories[i].append((step, value))
            if has_ended:
                state_of_seed = {name: to_torch(array[i]) for name, array in tree_flatten(parameters)}
                is_broken = not all(bool(torch.isfinite(tensor).all()) for tensor in state_of_seed.values())
                cpu_seconds_per_seed = (time.process_time() - started) / len(seeds)
                metrics = {
                    "loss": value,
                    "steps": step,
                    "parameters": parameter_count,
                    "cpu_seconds": round(cpu_seconds_per_seed, 3),
                }
                runs[i] = TrainedRun(
                    seed=seeds[i],
                    state=state_of_seed,
                    metrics=metrics if state_size is None else {**metrics, "state_size": state_size},
                    history=tuple(histories[i]),
                    diverged=diverged[i] or ("a weight was not finite at the end" if is_broken else ""),
                )
        if is_recorded and progress is not None:
            progress(step / recipe.steps)
        if len(runs) == len(seeds):
            break
    if progress is not None:
        progress(1.0)
    return [runs[i] for i in range(len(seeds))]


def make(recipe: Recipe, seed: int) -> nn.Module:
    """Return the untrained network of one seed.

    Raises:
        MemkitError: the model of the recipe does not make an ``mlx.nn.Module``.
    """
    factory = resolve(MLX_NETWORKS.get(reference(recipe.model), reference(recipe.model)))
    options = {**sizes_of(recipe.task), **recipe.options}
    initial_seed = stream_seed(seed, "initial values", recipe.stream)
    if "keys" in inspect.signature(factory).parameters:
        network = factory(keys=Keys(initial_seed), **options)
    else:
        with _mlx_seed(initial_seed):
            network = factory(**options)
    if not isinstance(network, nn.Module):
        raise MemkitError(f"Recipe: {recipe.model!r} made a {type(network).__name__}; it should make an mlx.nn.Module")
    mx.eval(network.parameters())
    return network


def build(recipe: Recipe, seed: int) -> Any:
    """Return the untrained network of one seed, as the test of a claim gets it."""
    return _for_test(recipe, make(recipe, seed))


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor]) -> Any:
    """Return the trained network of one seed in evaluation mode, as the test of a claim gets it."""
    network = make(recipe, seed)
    network.load_weights([(name, to_mlx(tensor)) for name, tensor in state.items()], strict=True)
    return _for_test(recipe, network)


def _for_test(recipe: Recipe, network: nn.Module) -> Any:
    """Return memkit's own networks wrapped for torch, and any other module as it is; in evaluation mode."""
    network.eval()
    return FromMLX(network) if reference(recipe.model) in MLX_NETWORKS else network


class _Step:
    """A training step of a cohort: maps parameters, optimiser state and batches to new ones, losses [S] and outputs."""

    def __init__(self, recipe: Recipe, template: nn.Module, seeds: Sequence[int]) -> None:
        self.recipe, self.template = recipe, template
        self.optimizer = _optimizer(recipe)
        self.noisy = bool(getattr(template, "noisy", False))
        self.has_penalty = bool(getattr(template, "balance", 0.0))
        self.keys = mx.stack([mx.random.key(stream_seed(seed, "noise", recipe.stream)) for seed in seeds])
        template.train()
        self.gradient = mx.value_and_grad(self._losses)

    def optimizer_state(self, parameters: Tree) -> Tree:
        """Initialise the optimiser for the parameters, and return its initial state."""
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
            return loss, loss + self.template.balance_penalty(x) if self.has_penalty else loss, outputs

        losses, add_penalty_gradient, outputs = mx.vmap(of_one)(parameters, inputs, targets, keys)
        # In the gradient of the sum, the parameters of each seed get the gradient of their own loss only.
        return add_penalty_gradient.sum(), losses, outputs


def _optimizer(recipe: Recipe) -> Optimizer:
    """Return the optimiser of the recipe, with the default settings of torch."""
    if recipe.optimizer == "sgd":
        return SGD(recipe.lr, weight_decay=recipe.weight_decay)
    common: dict[str, Any] = {"betas": [0.9, 0.999], "eps": 1e-8, "bias_correction": True}
    if recipe.optimizer == "adamw":
        return AdamW(recipe.lr, weight_decay=recipe.weight_decay, **common)
    return Adam(recipe.lr, **common)


def _clipped(gradients: Tree, limit: float) -> Tree:
    """Return gradients with that of each seed scaled to a norm of at most ``limit``."""
    squares = sum(array.square().reshape(len(array), -1).sum(1) for _, array in tree_flatten(gradients))
    scale = mx.minimum(1.0, limit / mx.maximum(mx.sqrt(squares), 1e-12))
    scaled = [(name, array * scale.reshape(-1, *[1] * (array.ndim - 1))) for name, array in tree_flatten(gradients)]
    return tree_unflatten(scaled)


@contextmanager
def _mlx_seed(seed: int) -> Iterator[None]:
    """Seed MLX's global generator within the context; restore its state afterwards."""
    state: Any = mx.random.state
    high, low = state[0].tolist()
    mx.random.seed(seed)
    try:
        yield
    finally:
        mx.random.seed(high << 32 | low)  # the halves of the seed are the generator's state
