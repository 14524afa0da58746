"""A model with its parameters in contiguous memory, and the optimiser that updates them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from memkit.errors import MemkitError
from memkit.training.building import build_cohort
from memkit.training.protocols import Moments

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_REGISTER = 64  # at least as many elements as fit in a vector register of any machine


@dataclass(frozen=True)
class Learner:
    """The model of one or more seeds, its parameters, and one optimiser for each data type of the parameters.

    Attributes:
        model: the model.
        parameters: its trainable parameters; views of ``buffers``.
        buffers: for each data type, all its parameters in one contiguous tensor, and their gradients in another.
        steppers: the optimiser of each buffer.
    """

    model: nn.Module
    parameters: list[nn.Parameter]
    buffers: list[FlatBuffer]
    steppers: list[_Stepper]

    @classmethod
    def of(cls, recipe: Recipe, model: nn.Module) -> Learner:
        """Return a learner for a model. The model changes in place: its parameters become views of the buffers.

        Raises:
            MemkitError: the model has no parameters to train.
        """
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise MemkitError(f"Recipe: {type(model).__name__} has no parameters to train")
        buffers = [_flattened(group) for group in _by_type(parameters)]
        return cls(model, parameters, buffers, [_stepper(recipe, buffer) for buffer in buffers])

    def clear_gradients(self) -> None:
        """Set the gradients to zero."""
        for buffer in self.buffers:
            buffer.grad.zero_()

    def clip(self, limit: float, *, seeds: int | None) -> None:
        """Scale down each seed's gradient if its norm exceeds ``limit``.

        Args:
            seeds: the number of seeds; None if the model has no seed axis.
        """
        grads = [p.grad for p in self.parameters if p.grad is not None]
        if seeds is None:
            nn.utils.clip_grad_norm_(self.parameters, limit)
            return
        squares = torch.stack([g.reshape(seeds, -1).square().sum(1) for g in grads]).sum(0)
        scale = (limit / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))

    def take_step(self) -> None:
        """Update the parameters by one step of the optimiser."""
        for stepper in self.steppers:
            stepper.update()

    @property
    def moments(self) -> Moments:
        """The optimiser's moments by parameter."""
        moments: Moments = {}
        for group, stepper in zip(_by_type(self.parameters), self.steppers, strict=True):
            moments |= _by_parameter(group, stepper.moments)
        return moments

    def with_rows(self, recipe: Recipe, seeds: Sequence[int], rows: Sequence[int], device: str) -> Learner:
        """Return a learner that keeps only these seeds, and continues from the present parameters and optimiser state.

        Args:
            seeds: the seeds to keep.
            rows: their positions along the model's seed axis.
        """
        model = build_cohort(recipe, seeds).to(device).train()
        model.load_state_dict({name: tensor[rows] for name, tensor in self.model.state_dict().items()})
        learner = Learner.of(recipe, model)
        for old_moments, new_moments in zip(self.moments.values(), learner.moments.values(), strict=True):
            for old, new in zip(old_moments, new_moments, strict=True):
                new.copy_(old[rows])
        for old_stepper, new_stepper in zip(self.steppers, learner.steppers, strict=True):
            new_stepper.steps_taken.copy_(old_stepper.steps_taken)
        return learner


class FlatBuffer(NamedTuple):
    """The values of several parameters in one contiguous tensor [N], and their gradients [N]."""

    values: Tensor
    grad: Tensor


def _flattened(parameters: Sequence[nn.Parameter]) -> FlatBuffer:
    """Move parameters and their gradients into one contiguous tensor each, and make them views of these tensors.

    The optimiser's fused step then runs once instead of once per parameter. It rounds the last elements of a tensor
    differently if they do not fill a vector register. Each parameter is therefore padded to a multiple of ``_REGISTER``
    elements. Otherwise an element's result would depend on its position, and so on the other seeds in the cohort.
    """
    sizes = _padded_sizes(parameters)
    values = parameters[0].detach().new_zeros(sum(sizes))
    buffer = FlatBuffer(values, torch.zeros_like(values))
    for p, value, gradient in zip(parameters, *(torch.split(tensor, sizes) for tensor in buffer), strict=True):
        value[: p.numel()].view(p.shape).copy_(p.detach())
        p.data, p.grad = value[: p.numel()].view(p.shape), gradient[: p.numel()].view(p.shape)
    return buffer


def _padded_sizes(parameters: Sequence[nn.Parameter]) -> list[int]:
    """Return the numbers of elements that the parameters take up in a :class:`FlatBuffer`."""
    return [-(-p.numel() // _REGISTER) * _REGISTER for p in parameters]


def _by_type(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return the parameters grouped by data type."""
    return [[p for p in parameters if p.dtype == dtype] for dtype in {p.dtype: None for p in parameters}]


def _by_parameter(parameters: Sequence[nn.Parameter], moments: Sequence[Tensor]) -> Moments:
    """Return each parameter's moments in the parameter's shape: views of ``moments``, laid out like a FlatBuffer."""
    parts = [torch.split(tensor, _padded_sizes(parameters)) for tensor in moments]
    return {p: tuple(part[i][: p.numel()].view(p.shape) for part in parts) for i, p in enumerate(parameters)}


class _Stepper(NamedTuple):
    """The optimiser of one buffer: the function that takes a step, the moments, and the number of steps so far."""

    update: Callable[[], None]
    moments: Sequence[Tensor]
    steps_taken: Tensor


def _stepper(recipe: Recipe, buffer: FlatBuffer) -> _Stepper:
    """Return the recipe's optimiser for a buffer, with torch's defaults; its moments are laid out like the buffer.

    This uses the functional forms of torch.optim's classes. Creating an object of such a class would load torch's
    compiler, and many small recipes take less time to train than that.
    """
    values, gradient = [buffer.values], [buffer.grad]
    fused = not buffer.values.is_complex()
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "maximize": False}
    common |= {"fused": fused, "foreach": False}
    if recipe.optimizer == "sgd":
        update = functools.partial(sgd, values, gradient, [None], momentum=0.0, dampening=0.0, nesterov=False, **common)
        return _Stepper(update, (), torch.zeros(()))
    common |= {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "has_complex": not fused}
    first, second = [torch.zeros_like(buffer.values)], [torch.zeros_like(buffer.values)]
    steps_taken = [torch.zeros((), device=buffer.values.device)]
    step: Callable[..., None] = adam if recipe.optimizer == "adam" else adamw
    update = functools.partial(step, values, gradient, first, second, [], steps_taken, **common)
    return _Stepper(update, (*first, *second), *steps_taken)
