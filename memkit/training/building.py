"""The models and samplers of a recipe's seeds, each built from random streams of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from memkit.errors import MemkitError
from memkit.training.protocols import Sampler, Task, has_seed_axis, sizes_of
from memkit.training.stacked_modules import Stacked
from memkit.training.streams import generator, stream_seed

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe


def build(recipe: Recipe, seeds: Sequence[int]) -> nn.Module:
    """Build the untrained model of the given seeds; exactly one seed if the model has no seed axis.

    Raises:
        MemkitError: the recipe's model does not produce a ``torch.nn.Module``.
    """
    options = {**sizes_of(recipe.task), **recipe.options}
    if has_seed_axis(recipe.model):
        generators = [generator(seed, "initial values", recipe.stream) for seed in seeds]
        model = recipe.model(generators=generators, **options)
    else:
        (seed,) = seeds
        with drawing_from(seed, "initial values", recipe.stream):
            model = recipe.model(**options)
    if not isinstance(model, nn.Module):
        raise MemkitError(
            f"Recipe: {recipe.model!r} returned a value of type {type(model).__name__}; it must return a "
            "torch.nn.Module"
        )
    return model


def build_cohort(recipe: Recipe, seeds: Sequence[int]) -> nn.Module:
    """Build the untrained model of a cohort; it has a seed axis if the recipe's seeds train together."""
    return Stacked([build(recipe, [seed]) for seed in seeds]) if recipe.vmap else build(recipe, seeds)


@contextmanager
def drawing_from(seed: int, *names: str, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators with a stream of the seed, and restore their states when the block ends.

    Ordinary modules draw their initial values and their dropout masks from the global generators.
    """
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(stream_seed(seed, *names))
        yield


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor], *, device: str = "cpu") -> nn.Module:
    """Return the trained model of one seed, in evaluation mode."""
    model = build(recipe, [seed])
    model.load_state_dict(state)
    return model.to(device).eval()


def sampler(recipe: Recipe, seed: int) -> Sampler:
    """Return the sampler of a seed's training batches; the seed determines its split."""
    if isinstance(recipe.task, Task):
        return recipe.task.for_seed(generator(seed, "split"))
    task: Sampler = recipe.task
    return task
