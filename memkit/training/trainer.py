"""Training: a cohort of seeds of one recipe, in one batched program where the model carries a seed axis.

An ordinary module trains seed by seed, or is given a seed axis by vmap where its recipe says so.

Every seed has generators of its own for the split, the initial values and the data, so its result does not
depend on the cohort it is trained in. A seed whose loss becomes non-finite has diverged: that is a result, it
is recorded, and it leaves the other seeds as they were.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from memkit.errors import MemkitError
from memkit.training.streams import generator, stream_seed
from memkit.training.validation import IGNORED, Moments, validation_of
from memkit.training.vmapped import Stacked

if TYPE_CHECKING:
    from memkit.recipes.recipe import Recipe

_HISTORY_POINTS = 100
_REGISTER = 64  # more elements than a vector register of any machine holds

Sampler = Callable[[torch.Generator, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What training one seed left.

    Attributes:
        seed: the seed.
        state: the model's state dict, on the CPU; of a model with a seed axis, that of a cohort of one.
        metrics: ``loss`` at the end, ``steps`` taken, ``parameters``, ``cpu_seconds``; and ``state_size``, where the
            model says how many numbers it carries for a sequence.
        history: rows ``(step, loss)``, about a hundred.
        validation: rows ``(step, loss, accuracy)`` on the validation examples, every ``recipe.validate_every`` steps;
            two of one step where the model changed itself after the first, as a growing network does.
        diverged: why training went non-finite, else "".
    """

    seed: int
    state: Mapping[str, Tensor]
    metrics: Mapping[str, float]
    history: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    validation: tuple[tuple[int, float, float], ...] = field(default=(), repr=False)
    diverged: str = ""


def prepare_process() -> None:
    """Settings of a training process: one thread, and no denormal numbers.

    Denormals make a small model that has converged train three to four times slower; several processes with a
    thread each use the cores better than one process with several.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@contextmanager
def prepared_process() -> Iterator[None]:
    """:func:`prepare_process` for a while: a test process in which a run was trained calculates as before."""
    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0
    prepare_process()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)


def train(
    recipe: Recipe,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> list[TrainedRun]:
    """Train a recipe on some seeds.

    Args:
        seeds: distinct seeds; in one program, or one after another, as ``recipe.together`` says.
        device: where to train, "cpu", "cuda" or "mps". Random numbers are always drawn on the CPU.
        progress: called now and then with the share that is done, 0 to 1.
    """
    cohorts = [list(seeds)] if recipe.together else [[seed] for seed in seeds]

    def report(share: float) -> None:
        if progress is not None:
            progress((len(runs) + share) / len(cohorts) if len(cohorts) > 1 else share)

    runs: list[TrainedRun] = []
    for cohort in cohorts:
        with _drawing_from(cohort[0], "noise", recipe.stream, device=device):
            runs += _train_cohort(recipe, cohort, device, report)
    return runs


def build(recipe: Recipe, seeds: Sequence[int]) -> nn.Module:
    """The untrained model of some seeds; of one seed, if the model has no seed axis."""
    options = {**getattr(recipe.task, "sizes", {}), **recipe.options}
    if getattr(recipe.model, "seed_axis", False):
        generators = [generator(seed, "initial values", recipe.stream) for seed in seeds]
        model = recipe.model(generators=generators, **options)
    else:
        (seed,) = seeds
        with _drawing_from(seed, "initial values", recipe.stream):
            model = recipe.model(**options)
    if not isinstance(model, nn.Module):
        raise MemkitError(f"Recipe: {recipe.model!r} made a {type(model).__name__}; it should make a torch.nn.Module")
    return model


@contextmanager
def _drawing_from(seed: int, *names: str, device: str = "cpu") -> Iterator[None]:
    """Within it torch's global generators stand at a stream of the seed; after it, where they stood before.

    An ordinary module draws its initial values and its dropout from them.
    """
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(stream_seed(seed, *names))
        yield


def restore(recipe: Recipe, seed: int, state: Mapping[str, Tensor], *, device: str = "cpu") -> nn.Module:
    """The trained model of one seed, in evaluation mode."""
    model = build(recipe, [seed])
    model.load_state_dict(state)
    return model.to(device).eval()


def sampler(recipe: Recipe, seed: int) -> Sampler:
    """What draws the training batches of a seed, on the split of that seed."""
    if hasattr(recipe.task, "for_seed"):
        made: Sampler = recipe.task.for_seed(generator(seed, "split"))
        return made
    task: Sampler = recipe.task
    return task


@dataclass(frozen=True)
class _Learner:
    """A model of some seeds, its parameters in one stretch of memory a type of number, and what trains each."""

    model: nn.Module
    parameters: list[nn.Parameter]
    wholes: list[Whole]
    steppers: list[_Stepper]

    @classmethod
    def of(cls, recipe: Recipe, model: nn.Module) -> _Learner:
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise MemkitError(f"Recipe: {type(model).__name__} has no parameters to train")
        wholes = [_in_one(group) for group in _by_type(parameters)]
        return cls(model, parameters, wholes, [_stepper(recipe, whole) for whole in wholes])

    @property
    def moments(self) -> Moments:
        """The optimiser's moments by parameter."""
        found = Moments()
        for group, stepper in zip(_by_type(self.parameters), self.steppers, strict=True):
            found |= _by_parameter(group, stepper.running)
        return found

    def of_rows(self, recipe: Recipe, seeds: Sequence[int], rows: Sequence[int], device: str) -> _Learner:
        """The same for some of its seeds, which go on learning where they stand."""
        fewer = _of_cohort(recipe, seeds).to(device).train()
        fewer.load_state_dict({name: tensor[rows] for name, tensor in self.model.state_dict().items()})
        learner = _Learner.of(recipe, fewer)
        for before, after in zip(self.moments.values(), learner.moments.values(), strict=True):
            for old, new in zip(before, after, strict=True):
                new.copy_(old[rows])
        for one, other in zip(self.steppers, learner.steppers, strict=True):
            other.taken.copy_(one.taken)
        return learner


def _train_cohort(
    recipe: Recipe, seeds: Sequence[int], device: str, progress: Callable[[float], None]
) -> list[TrainedRun]:
    started = time.process_time()
    axis = recipe.together
    learner = _Learner.of(recipe, _of_cohort(recipe, seeds).to(device).train())
    model = learner.model
    samplers = [sampler(recipe, seed) for seed in seeds]
    told = [getattr(draw, "saw", None) for draw in samplers]
    streams = [generator(seed, "data", recipe.stream) for seed in seeds]
    loss_of = _loss(recipe, model)
    hears = _listener(recipe, model, "saw")
    validation = validation_of(recipe, samplers, loss_of, device)
    grows = _listener(recipe, model, "validated")
    if grows is not None and validation is None:
        raise MemkitError(
            f"Recipe: {type(model).__name__} goes by its validation examples; say with validate_every after how many "
            "steps they are looked at"
        )
    # What else knows the seeds by their places keeps the cohort together.
    parts = axis and not recipe.vmap and hears is None and validation is None
    every = max(1, recipe.steps // _HISTORY_POINTS)
    histories: list[list[tuple[int, float]]] = [[] for _ in seeds]
    validations: list[list[tuple[int, float, float]]] = [[] for _ in seeds]
    diverged = [""] * len(seeds)
    runs: dict[int, TrainedRun] = {}
    present = list(range(len(seeds)))  # of the seeds, those that the model holds, in its order
    for step in range(1, recipe.steps + 1):
        batches = [samplers[i](streams[i], recipe.batch) for i in present]
        if axis:
            inputs = torch.stack([x for x, _ in batches]).to(device)
            targets = torch.stack([y for _, y in batches]).to(device)
        else:
            inputs, targets = (tensor.to(device) for tensor in batches[0])
        outputs = learner.model(inputs)
        losses = loss_of(outputs, targets)
        losses = losses if axis else losses.mean().reshape(1)
        if losses.shape != (len(present),):
            raise MemkitError(
                f"Recipe: the task's loss has the shape {tuple(losses.shape)}; for a model with a seed axis "
                f"it should be one loss a seed, ({len(present)},)"
            )
        # The sum keeps the seeds apart: each parameter slice meets the gradient of its own seed's loss alone.
        for whole in learner.wholes:
            whole.grad.zero_()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if hears is not None:
            hears(targets)
        if recipe.clip is not None:
            _clip(learner.parameters, recipe.clip, seeds=len(present) if axis else None)
        for stepper in learner.steppers:
            stepper.update()
        for row, i in enumerate(present):
            if (tell := told[i]) is not None:
                tell(*(tensor[row] if axis else tensor for tensor in (outputs.detach(), targets)))
        values = losses.tolist()
        for i, value in zip(present, values, strict=True):
            if not diverged[i] and not math.isfinite(value):
                diverged[i] = f"the loss was {value} at step {step}"
        last = step == recipe.steps or all(diverged[i] or i in runs for i in present)
        ending = [i not in runs and (last or bool(getattr(samplers[i], "finished", False))) for i in present]
        noted = step % every == 0 or step == 1
        for i, value, ends in zip(present, values, ending, strict=True):
            if (noted or ends) and i not in runs:
                histories[i].append((step, value))
        if noted:
            progress(step / recipe.steps)
        looking = validation is not None and step % (recipe.validate_every or 1) == 0
        if validation is not None and (looking or any(ending)):
            looked = validation.look(model, step)
            # One that finished between two looks is looked at by itself: what it scores is its own affair.
            wanted = [i not in runs and (looking or ends) for i, ends in zip(present, ending, strict=True)]
            looked.note(validations, wanted)
            # After the last step nothing would be left to train what it grew.
            if grows is not None and looking and not last:
                changed = grows(looked, learner.moments)
                if any(changed):
                    validation.look(model, step).note(validations, changed)
        if not any(ending):
            continue
        share = (time.process_time() - started) / len(seeds)
        broken = _non_finite(learner.model, axis, len(present))
        sizes = _sizes(learner, len(present) if axis else 1)
        for row, i in enumerate(present):
            if ending[row]:
                metrics = {"loss": values[row], "steps": step, "parameters": sizes[row], "cpu_seconds": round(share, 3)}
                if isinstance(size := getattr(model, "state_size", None), int):
                    metrics["state_size"] = size
                runs[i] = TrainedRun(
                    seed=seeds[i],
                    state=_state(learner.model, row, axis=axis),
                    metrics=metrics,
                    history=tuple(histories[i]),
                    validation=tuple(validations[i]),
                    diverged=diverged[i] or broken[row],
                )
        left = [row for row, i in enumerate(present) if i not in runs]
        if not left:
            progress(1.0)
            break
        if parts and len(left) <= len(present) // 2:
            present = [present[row] for row in left]
            learner = learner.of_rows(recipe, [seeds[i] for i in present], left, device)
    return [runs[i] for i in range(len(seeds))]


def _sizes(learner: _Learner, seeds: int) -> list[int]:
    """How many parameters each seed uses."""
    active: Callable[[], list[int]] | None = getattr(learner.model, "active_parameters", None)
    return active() if active is not None else [sum(p.numel() for p in learner.parameters) // seeds] * seeds


def _listener(recipe: Recipe, model: nn.Module, name: str) -> Callable[..., Any] | None:
    """The method by which a model is told something in training; None if it has none of that name."""
    template = model.template if isinstance(model, Stacked) else model
    if not hasattr(template, name):
        return None
    if isinstance(model, Stacked):
        raise MemkitError(
            f"Recipe: vmap=True, but {type(template).__name__} is told by {name}() how training goes, which vmap "
            "cannot map; leave vmap out, and its seeds train one by one"
        )
    listener: Callable[..., Any] = getattr(template, name)
    return listener


def _of_cohort(recipe: Recipe, seeds: Sequence[int]) -> nn.Module:
    return Stacked([build(recipe, [seed]) for seed in seeds]) if recipe.vmap else build(recipe, seeds)


def _state(model: nn.Module, at: int, *, axis: bool) -> dict[str, Tensor]:
    """The state dict of the seed at that place, with memory of its own."""
    state = model.state_of(at) if isinstance(model, Stacked) else model.state_dict()
    if axis and not isinstance(model, Stacked):
        state = {name: tensor[at : at + 1] for name, tensor in state.items()}
    return {name: tensor.detach().to("cpu").clone().contiguous() for name, tensor in state.items()}


def _loss(recipe: Recipe, model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """The task's loss, or cross-entropy: of outputs and targets, with the seed axis if they have one."""
    own: Callable[[Tensor, Tensor], Tensor] | None = getattr(recipe.task, "loss", None)
    if own is None:
        return functools.partial(_cross_entropy, seed_axis=recipe.together)
    return model.each(own) if isinstance(model, Stacked) else own


def _cross_entropy(outputs: Tensor, targets: Tensor, *, seed_axis: bool) -> Tensor:
    """Mean cross-entropy of each seed: [S, ..., C] and targets [S, ...] → [S]; without the axis, a scalar."""
    losses = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="none").view(
        targets.shape
    )
    counted = targets != IGNORED
    if not seed_axis:
        return losses.sum() / counted.sum().clamp(min=1)
    return losses.flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)


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
    """Of tensors that run along a :class:`Whole`, the parts of each parameter, as views of its shape."""
    sizes = [-(-p.numel() // _REGISTER) * _REGISTER for p in parameters]
    parts = [torch.split(tensor, sizes) for tensor in running]
    return {p: tuple(part[i][: p.numel()].view(p.shape) for part in parts) for i, p in enumerate(parameters)}


class _Stepper(NamedTuple):
    """What takes a step of an optimiser, its moments, and the count of its steps."""

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


def _clip(parameters: list[nn.Parameter], limit: float, *, seeds: int | None) -> None:
    """Scale each seed's gradient to a norm of at most ``limit``."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if seeds is None:
        nn.utils.clip_grad_norm_(parameters, limit)
        return
    squares = torch.stack([g.reshape(seeds, -1).square().sum(1) for g in grads]).sum(0)
    scale = (limit / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
    for g in grads:
        g.mul_(scale.view(-1, *[1] * (g.dim() - 1)))


def _non_finite(model: nn.Module, axis: bool, seeds: int) -> list[str]:
    bad = [False] * seeds
    for p in model.parameters():
        rows = p.detach().reshape(seeds if axis else 1, -1)
        for i, finite in enumerate(torch.isfinite(rows).all(1).tolist()):
            bad[i] = bad[i] or not finite
    return ["a weight was not finite at the end" if b else "" for b in bad]
