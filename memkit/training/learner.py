"""A model, the stretches of memory that its parameters lie in, and the optimiser that takes its steps."""

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

_REGISTER = 64  # more elements than a vector register of any machine holds


@dataclass(frozen=True)
class Learner:
    """A model of some seeds, its parameters in one stretch of memory a type of number, and what trains each."""

    model: nn.Module
    parameters: list[nn.Parameter]
    wholes: list[Whole]
    steppers: list[_Stepper]

    @classmethod
    def of(cls, recipe: Recipe, model: nn.Module) -> Learner:
        """Prepare a model of some seeds for training.

        Raises:
            MemkitError: it has nothing to train.
        """
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise MemkitError(f"Recipe: {type(model).__name__} has no parameters to train")
        wholes = [_in_one(group) for group in _by_type(parameters)]
        return cls(model, parameters, wholes, [_stepper(recipe, whole) for whole in wholes])

    def clear_gradients(self) -> None:
        """Set the gradients to zero."""
        for whole in self.wholes:
            whole.grad.zero_()

    def clip(self, limit: float, *, seeds: int | None) -> None:
        """Scale each seed's gradient to a norm of at most ``limit``; ``seeds`` is None without a seed axis."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        if seeds is None:
            nn.utils.clip_grad_norm_(self.parameters, limit)
            return
        squares = torch.stack([g.reshape(seeds, -1).square().sum(1) for g in grads]).sum(0)
        scale = (limit / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
        for g in grads:
            g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))

    def take_step(self) -> None:
        """Let the optimiser take a step."""
        for one in self.steppers:
            one.update()

    @property
    def moments(self) -> Moments:
        """The optimiser's moments by parameter."""
        found: Moments = {}
        for group, stepper in zip(_by_type(self.parameters), self.steppers, strict=True):
            found |= _by_parameter(group, stepper.running)
        return found

    def of_rows(self, recipe: Recipe, seeds: Sequence[int], rows: Sequence[int], device: str) -> Learner:
        """Return the same for some of its seeds, which go on learning where they stand.

        Args:
            seeds: of the rows that stay.
            rows: places of these seeds in the model.
        """
        fewer = build_cohort(recipe, seeds).to(device).train()
        fewer.load_state_dict({name: tensor[rows] for name, tensor in self.model.state_dict().items()})
        learner = Learner.of(recipe, fewer)
        for before, after in zip(self.moments.values(), learner.moments.values(), strict=True):
            for old, new in zip(before, after, strict=True):
                new.copy_(old[rows])
        for one, other in zip(self.steppers, learner.steppers, strict=True):
            other.taken.copy_(one.taken)
        return learner


class Whole(NamedTuple):
    """Parameters in one stretch of memory: [N], and their gradient [N]."""

    values: Tensor
    grad: Tensor


def _in_one(parameters: Sequence[nn.Parameter]) -> Whole:
    """Move parameters and their gradients into one stretch of memory each, of which they become views.

    The optimiser's fused step then runs once and not once a parameter. It rounds otherwise in the last few
    elements of a tensor, which fill no vector register; so each parameter takes up a multiple of ``_REGISTER``:
    what becomes of an element must not depend on its place, and hence on the cohort.
    """
    sizes = [-(-p.numel() // _REGISTER) * _REGISTER for p in parameters]
    values = parameters[0].detach().new_zeros(sum(sizes))
    whole = Whole(values, torch.zeros_like(values))
    for p, own, gradient in zip(parameters, *(torch.split(part, sizes) for part in whole), strict=True):
        own[: p.numel()].view(p.shape).copy_(p.detach())
        p.data, p.grad = own[: p.numel()].view(p.shape), gradient[: p.numel()].view(p.shape)
    return whole


def _by_type(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    return [[p for p in parameters if p.dtype == dtype] for dtype in {p.dtype: None for p in parameters}]


def _by_parameter(parameters: Sequence[nn.Parameter], running: Sequence[Tensor]) -> Moments:
    """Return each parameter's parts of tensors that run along a :class:`Whole`, as views of the parameter's shape."""
    sizes = [-(-p.numel() // _REGISTER) * _REGISTER for p in parameters]
    parts = [torch.split(tensor, sizes) for tensor in running]
    return {p: tuple(part[i][: p.numel()].view(p.shape) for part in parts) for i, p in enumerate(parameters)}


class _Stepper(NamedTuple):
    """A function that takes an optimiser's step, the optimiser's moments, and the count of its steps."""

    update: Callable[[], None]
    running: Sequence[Tensor]
    taken: Tensor


def _stepper(recipe: Recipe, whole: Whole) -> _Stepper:
    """The recipe's optimiser on a whole, with torch's defaults; its moments are laid out as the whole.

    These are the functions under the classes of torch.optim. To make an object of such a class loads torch's
    compiler, and that takes longer than many a small recipe trains.
    """
    values, gradient = [whole.values], [whole.grad]
    fused = not whole.values.is_complex()
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "maximize": False}
    common |= {"fused": fused, "foreach": False}
    if recipe.optimizer == "sgd":
        plain = functools.partial(sgd, values, gradient, [None], momentum=0.0, dampening=0.0, nesterov=False, **common)
        return _Stepper(plain, (), torch.zeros(()))
    common |= {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "has_complex": not fused}
    first, second = [torch.zeros_like(whole.values)], [torch.zeros_like(whole.values)]
    taken = [torch.zeros((), device=whole.values.device)]
    step: Callable[..., None] = adam if recipe.optimizer == "adam" else adamw
    update = functools.partial(step, values, gradient, first, second, [], taken, **common)
    return _Stepper(update, (*first, *second), *taken)
