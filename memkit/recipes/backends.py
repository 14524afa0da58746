"""Backends: which trainer a recipe names. torch's is memkit/training/trainer.py, MLX's memkit/mlx/trainer.py.

Both train cohorts into :class:`memkit.training.trainer.TrainedRun`, whose states are tensors of torch, so that the
store and all that comes after know nothing of backends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from memkit.recipes.recipe import Recipe
    from memkit.training.trained_run import TrainedRun


def train(
    recipe: Recipe, seeds: Sequence[int], *, device: str = "cpu", progress: Callable[[float], None] | None = None
) -> list[TrainedRun]:
    """Train a recipe on some seeds; see :func:`memkit.training.trainer.train`.

    ``device`` is torch's; MLX takes Metal where there is one, and the CPU elsewhere.

    Raises:
        MemkitError: the task drew, or the model returned, what is no tensor; the model cannot be trained or stored; or
            training changed an attribute of the model that its state does not hold.
    """
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.train(recipe, seeds, progress=progress)
    from memkit.errors import MemkitError
    from memkit.recipes.untracked import refuse_untracked, watched
    from memkit.training import trainer

    same, model = watched(recipe)
    try:
        runs = trainer.train(same, seeds, device=device, progress=progress)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, MemkitError):
            raise
        from memkit.recipes.diagnosis import unfit

        if reason := unfit(recipe, seeds[0]):
            raise MemkitError(reason) from error
        raise
    except RuntimeError as error:
        from memkit.recipes.diagnosis import sparse_under_vmap

        if reason := sparse_under_vmap(recipe, error):
            raise MemkitError(reason) from error
        raise
    refuse_untracked(recipe, seeds, model, device)
    return runs


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor], *, device: str = "cpu") -> Any:
    """The trained model of one seed, in evaluation mode, as a claim's test sees it."""
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.restore(recipe, seed, state)
    from memkit.training import building

    return building.restore(recipe, seed, state, device=device)


def build(recipe: Recipe, seed: int) -> Any:
    """The untrained model of one seed, as a claim's test sees it."""
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.build(recipe, seed)
    from memkit.training import building

    return building.build(recipe, [seed])


def versions(recipe: Recipe) -> dict[str, str]:
    """The versions of what trains a recipe."""
    from importlib.metadata import version

    names = ("memkit-claims", "torch", "mlx") if recipe.backend == "mlx" else ("memkit-claims", "torch")
    return {name.removesuffix("-claims"): version(name) for name in names}
