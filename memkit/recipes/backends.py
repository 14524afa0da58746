"""Backends: the trainers that a recipe can choose.

The trainer for torch is memkit/training/trainer.py, and the one for MLX is memkit/mlx/trainer.py. Both return
:class:`memkit.training.trained_run.TrainedRun`, whose states are torch tensors, so that the store and everything after
it need not know the backend.
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

    ``device`` applies to torch; MLX uses Metal if it is available, and otherwise the CPU.

    Raises:
        MemkitError: if the task or the model returned something other than tensors, the model cannot be trained or
            stored, or training changed an attribute of the model that its state does not contain.
    """
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.train(recipe, seeds, progress=progress)
    from memkit.errors import MemkitError
    from memkit.recipes.untracked import check_untracked_changes, with_recorded_models
    from memkit.training import trainer

    recording_recipe, recorder = with_recorded_models(recipe)
    try:
        runs = trainer.train(recording_recipe, seeds, device=device, progress=progress)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, MemkitError):
            raise
        from memkit.recipes.diagnosis import non_tensor_reason

        if reason := non_tensor_reason(recipe, seeds[0]):
            raise MemkitError(reason) from error
        raise
    except RuntimeError as error:
        from memkit.recipes.diagnosis import sparse_gradient_reason

        if reason := sparse_gradient_reason(recipe, error):
            raise MemkitError(reason) from error
        raise
    check_untracked_changes(recipe, seeds, recorder, device)
    return runs


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor], *, device: str = "cpu") -> Any:
    """Return the trained model of one seed, in evaluation mode, as a claim's test receives it."""
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.restore(recipe, seed, state)
    from memkit.training import building

    return building.restore(recipe, seed, state, device=device)


def build(recipe: Recipe, seed: int) -> Any:
    """Return the untrained model of one seed, as a claim's test receives it."""
    if recipe.backend == "mlx":
        from memkit.mlx import trainer as mlx

        return mlx.build(recipe, seed)
    from memkit.training import building

    return building.build(recipe, [seed])


def versions(recipe: Recipe) -> dict[str, str]:
    """Return the versions of the packages that train a recipe: name → version."""
    from importlib.metadata import version

    names = ("memkit-claims", "torch", "mlx") if recipe.backend == "mlx" else ("memkit-claims", "torch")
    return {name.removesuffix("-claims"): version(name) for name in names}
