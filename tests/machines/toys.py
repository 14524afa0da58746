"""Small tasks and models for the tests of training; importable, so that other processes find them."""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from memkit.models.layers import Linear, constant
from memkit.training.streams import stream_seed
from tests.machines.clocks import until

if TYPE_CHECKING:
    from memkit.store.store import Store


def signs(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Draw x [B, 2] and the sign of its first entry, 0 or 1, [B]."""
    x = torch.randn(size, 2, generator=generator)
    return x, (x[:, 0] > 0).long()


def shifted(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Draw as :func:`signs`, with inputs that are shifted by 1."""
    x, y = signs(generator, size)
    return x + 1, y


@dataclass(frozen=True)
class Halves:
    """A task: x [B, 2] → the side of a line on which it lies; the seed's split draws the line."""

    scale: float = 1.0
    names: tuple[str, ...] = ("left", "right")

    def for_seed(self, generator: torch.Generator) -> Any:
        normal = torch.randn(2, generator=generator) * self.scale

        def draw(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            x = torch.randn(size, 2, generator=generator)
            return x, (x @ normal > 0).long()

        return draw


@dataclass(frozen=True)
class Squared(Halves):
    """A task with its own loss."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        errors = (outputs[..., 1] - targets).square()
        return errors.mean(-1)


@dataclass(frozen=True)
class Numbered(Halves):
    """A task whose loss reads the value of a tensor."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        errors = (outputs[..., 1] - targets).square().mean()
        return errors / max(1.0, errors.item())


@dataclass(frozen=True)
class Unreduced(Halves):
    """A task whose loss is not averaged over each seed's examples."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs[..., 1] - targets).square()


@dataclass(frozen=True)
class Mixture:
    """A task that consists of other tasks."""

    parts: tuple[Halves, ...] = (Halves(), Halves(2.0))

    def for_seed(self, generator: torch.Generator) -> Any:
        return self.parts[0].for_seed(generator)


class Receding:
    """A sampler whose inputs are those of another one, shifted by the sum of the accuracies of all earlier batches."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.shift, self.drawn = draw, 0.0, (torch.empty(0), torch.empty(0))

    def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self.draw(generator, size)
        self.drawn = inputs + self.shift, targets
        return self.drawn

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        self.shift += float((outputs.argmax(-1) == targets).float().mean())


@dataclass(frozen=True)
class Recedes(Halves):
    """A task whose batches depend on the model's outputs for earlier batches."""

    def for_seed(self, generator: torch.Generator) -> Any:
        return Receding(super().for_seed(generator))


class Satisfied:
    """A sampler that draws as another one does, and ends training after ``enough`` batches."""

    def __init__(self, draw: Any, enough: int) -> None:
        self.draw, self.enough, self.batches_seen = draw, enough, 0
        self.validation = draw(torch.Generator().manual_seed(enough), 20)

    def __call__(self, generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
        drawn: tuple[Tensor, Tensor] = self.draw(generator, size)
        return drawn

    def saw(self, outputs: Tensor, targets: Tensor) -> None:
        self.batches_seen += 1

    @property
    def finished(self) -> bool:
        return self.batches_seen >= self.enough


@dataclass(frozen=True)
class Enough(Halves):
    """A task in which each seed ends training after its own number of batches, ``least`` to ``least + 9``."""

    least: int = 10

    def for_seed(self, generator: torch.Generator) -> Any:
        draw = super().for_seed(generator)
        return Satisfied(draw, self.least + int(torch.randint(10, (), generator=generator)))


@dataclass(frozen=True)
class Poisoned(Halves):
    """A task in which the inputs of one seed are infinite from the fourth batch on."""

    seed: int = 1

    def for_seed(self, generator: torch.Generator) -> Any:
        draw = super().for_seed(generator)
        poisoned = generator.initial_seed() == stream_seed(self.seed, "split")
        drawn = 0

        def infinite(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            nonlocal drawn
            drawn += 1
            x, y = draw(generator, size)
            return (x * float("inf") if poisoned and drawn > 3 else x), y

        return infinite


@dataclass(frozen=True)
class Witnessed(Halves):
    """A task that leaves a file in a folder whenever it is trained, and then performs an act.

    Attributes:
        folder: the folder.
        act: see :meth:`do`.
        at: the only seed on which it performs the act; None: on all seeds.
    """

    folder: str = ""
    act: str = "train"
    at: int | None = None

    def for_seed(self, generator: torch.Generator) -> Any:
        split = generator.initial_seed()
        first = not any(Path(self.folder).glob("*" if self.at is None else f"{split}-*"))
        Path(self.folder, f"{split}-{os.getpid()}-{uuid.uuid4().hex}").touch()
        if self.at is None or stream_seed(self.at, "split") == split:
            self.do(first=first)
        return super().for_seed(generator)

    def do(self, *, first: bool) -> None:
        """Perform the act; some are performed only the first time."""
        if self.act == "hang once" and first:
            time.sleep(600)
        elif self.act in ("wait", "wait and linger"):
            until(Path(f"{self.folder}.go").exists)
            if self.act != "wait":
                time.sleep(0.4)  # long enough for progress to be reported
        elif self.act == "raise":
            raise RuntimeError("the dog ate the data")
        elif self.act == "raise awkwardly":
            raise Awkward("two", "arguments")
        elif self.act == "exit":
            sys.exit("no more")
        elif self.act == "die":
            os._exit(13)
        elif self.act == "die once" and first:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Paced(Halves):
    """A task that draws each batch slowly, and stops after half of ``batches`` until a file exists."""

    file: str = ""
    batches: int = 60

    def for_seed(self, generator: torch.Generator) -> Any:
        draw = super().for_seed(generator)
        drawn = 0

        def paced(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
            nonlocal drawn
            drawn += 1
            if drawn > self.batches // 2:
                until(Path(self.file).exists)
            elif not Path(self.file).exists():
                time.sleep(0.02)  # in total long enough for progress to be reported
            drawn_now: tuple[Tensor, Tensor] = draw(generator, size)
            return drawn_now

        return paced


def witnesses(folder: Path, seed: int) -> list[int]:
    """Return the processes that trained a seed of :class:`Witnessed`, once per training."""
    return [int(path.name.split("-")[1]) for path in folder.glob(f"{stream_seed(seed, 'split')}-*")]


class Awkward(Exception):
    """An error that cannot be recreated from its arguments, so that it cannot be unpickled."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


class Ordinary(nn.Module):
    """An ordinary module with dropout and a buffer, which draws from torch's global generator."""

    def __init__(self, width: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 2))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        logits: Tensor = self.layers(x)
        return logits


class Mixed(nn.Module):
    """A module with parameters in single and in double precision."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(2, 3), nn.Linear(3, 2).double()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(torch.tanh(self.first(x)).double())
        return logits


class Cohort(nn.Module):
    """A model with a seed axis: x [S, B, 2] → logits [S, B, 2]."""

    seed_axis = True

    def __init__(self, generators: Sequence[torch.Generator], width: int = 4) -> None:
        super().__init__()
        self.hidden = Linear(generators, 2, width)
        self.out = Linear(generators, width, 2)
        self.temperature = constant(generators, value=1.0)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(torch.tanh(self.hidden(x)))
        return logits * self.temperature[:, None, None]


class Greedy(Cohort):
    """A model that runs out of memory with more than ``room`` seeds."""

    def __init__(self, generators: Sequence[torch.Generator], width: int = 4, room: int = 2) -> None:
        super().__init__(generators, width)
        self.room = room

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > self.room:
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        return super().forward(x)


class Plain(nn.Module):
    """An ordinary module without randomness: with a layer used twice, a tied one, a frozen parameter, and buffers."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.widen, self.mix, self.narrow = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 2)
        self.again = self.mix
        self.tied = nn.Linear(width, width, bias=False)
        self.tied.weight = self.mix.weight
        self.frozen = nn.Parameter(torch.randn(width), requires_grad=False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        x = torch.tanh(self.widen(x)) + self.frozen
        self.scratch = x.detach().mean(0)
        logits: Tensor = self.narrow(self.tied(self.again(torch.relu(self.mix(x)))))
        return logits


class Normalised(nn.Module):
    """A module with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class Attentive(nn.Module):
    """A module that reads x [B, 2] as two tokens, with torch's Transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(1, 4), nn.Linear(4, 2)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.layer(self.first(x.unsqueeze(-1)))[:, -1])
        return logits


class Gated(nn.Module):
    """A module that reads x [B, 2] as two steps, with ``nn.LSTM``."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.last = nn.LSTM(1, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.lstm(x.unsqueeze(-1))[0][:, -1])
        return logits


class Awry(nn.Module):
    """A linear layer, and an operation that cannot be mapped over seeds."""

    def __init__(self, act: str = "branch") -> None:
        super().__init__()
        self.act = act
        self.layer = nn.Linear(3 if act == "fail" else 2, 2)
        drawn = float(torch.rand(()))
        if act == "keep a number":
            self.scale = drawn
        elif act == "keep a tensor":
            self.mask = torch.rand(2)
        elif act == "vary":
            self.register_buffer("spare", torch.zeros(int(drawn * 1e6)))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        if self.act == "branch" and logits.sum() > 0:
            return -logits
        if self.act == "item":
            return logits * logits.max().item()
        if self.act == "noise":
            return logits + torch.randn_like(logits)
        if self.act == "numpy":
            return logits + torch.from_numpy(logits.detach().numpy())
        if self.act == "fill":
            filled = torch.zeros(len(x), 2)
            filled += logits
            return filled
        return logits


def anything(**options: Any) -> nn.Module:
    """Return a model, whatever the options."""
    return Ordinary()


def nothing() -> Any:
    """Return a value that is not a model."""
    return 3


def silenced(model: nn.Module) -> nn.Module:
    """Return the model without gradients, as an intervention."""
    return model.requires_grad_(False)


def obtain_in_process(recipe: dict[str, Any], root: str, seed: int, session: str = "") -> None:
    """Obtain a trained run; for calls in another process."""
    from memkit import Recipe
    from memkit.scheduling.cohorts import load_or_train
    from memkit.store.store import Store

    made = Recipe.from_json(recipe)
    load_or_train(made, made.digest, seed, Store(Path(root), session=session))


def loads_the_compiler(recipes: Iterable[Mapping[str, Any]]) -> bool:
    """Train recipes, given as JSON, and return whether the process has loaded torch's compiler afterwards."""
    from memkit import Recipe
    from memkit.training.process import prepared_process
    from memkit.training.trainer import train

    for recipe in recipes:
        with prepared_process():
            train(Recipe.from_json(recipe), [1, 2])
    return "torch._dynamo" in sys.modules


def not_loaded(store: Store, digest: str, seeds: Iterable[int], ready: Path, go: Path) -> list[int]:
    """Signal readiness, wait for the start, and load runs; return the seeds that could not be loaded."""
    ready.touch()
    until(go.exists)
    return [seed for seed in seeds if store.load(digest, seed) is None]
