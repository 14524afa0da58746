"""Changes outside the state dict are rejected if a restored model would lack them; caches are not."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from memkit import MemkitError, Recipe
from memkit.models.layers import Linear
from memkit.recipes import backends
from memkit.scheduling.cohorts import train_missing
from memkit.store.store import Store
from tests.machines import toys


class Bank:
    """A helper object of a model that is not a module."""

    def __init__(self) -> None:
        self.rows = torch.zeros(2)


class Remembering(nn.Module):
    """x [B, 2] → logits [B, 2], with a memory of the inputs that is stored in one of several ways."""

    def __init__(self, kept: str = "buffer", shown: bool = True) -> None:
        super().__init__()
        self.kept, self.shown = kept, shown
        self.layer = nn.Linear(2, 2)
        if kept in ("buffer", "persistent"):
            self.register_buffer("memory", torch.zeros(2), persistent=kept == "persistent")
        else:
            memories = {"tensor": torch.zeros(2), "list": [], "dict": {"rows": torch.zeros(2)}, "object": Bank()}
            memories |= {"none": None, "array": np.zeros(2, dtype=np.float32), "tuple": (torch.zeros(2), "a name")}
            self.memory: Any = memories[kept]

    def read(self) -> Tensor:
        if self.kept == "list":
            return torch.stack(self.memory).mean(0) if self.memory else torch.zeros(2)
        if self.kept in ("dict", "tuple"):
            return self.memory["rows"] if self.kept == "dict" else self.memory[0]
        if self.kept == "object":
            return self.memory.rows
        return torch.zeros(2) if self.memory is None else torch.as_tensor(self.memory)

    def write(self, value: Tensor) -> None:
        if self.kept == "list":
            self.memory.append(value)
        elif self.kept == "dict":
            self.memory["rows"] = value
        elif self.kept == "object":
            self.memory.rows = value
        elif self.kept == "array":
            self.memory = value.numpy()
        else:
            self.memory = (value, "a name") if self.kept == "tuple" else value

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.write(0.5 * self.read() + x.detach().mean(0))
        logits: Tensor = self.layer(x)
        return logits + self.read() if self.shown else logits


class Deep(nn.Module):
    """A model whose memory is in a nested module."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.Sequential(nn.Linear(2, 2), Remembering())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.parts(x)
        return logits


class Axis(nn.Module):
    """x [S, B, 2] → logits [S, B, 2], with a memory [S, 2]."""

    seed_axis = True

    def __init__(self, generators: list[torch.Generator]) -> None:
        super().__init__()
        self.layer = Linear(generators, 2, 2)
        self.memory = torch.zeros(len(generators), 2)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.memory = self.memory + x.detach().mean(1)
        logits: Tensor = self.layer(x)
        return logits + self.memory[:, None]


class Caching(nn.Module):
    """A module with caches: for each length, for the last batch, or for inspection."""

    def __init__(self, kept: str = "mask") -> None:
        super().__init__()
        self.kept, self.layer = kept, nn.Linear(2, 2)
        if kept == "weight_norm":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.layer = nn.utils.weight_norm(self.layer)
        self.mask: Tensor | None = None
        self.of_length: dict[int, Tensor] = {}
        self.seen: list[Tensor] = []
        self.heard: Tensor | None = None
        self.counts = torch.arange(3)
        self.generator = torch.Generator()

    def forward(self, x: Tensor) -> Tensor:
        if self.kept == "mask":
            self.mask = torch.ones(x.shape[-1]) if self.mask is None else self.mask
        if self.kept == "dict":
            self.of_length.setdefault(x.shape[-1], torch.ones(x.shape[-1]))
            if self.training:
                self.of_length.setdefault(7, torch.ones(7))
        if self.kept == "list":
            self.seen.clear()
            self.seen.append(x.detach().mean(0))
        if self.kept == "heard" and self.training:
            self.heard = x.detach()
        logits: Tensor = self.layer(x)
        return logits * self.mask if self.mask is not None else logits


class Threshold(nn.Module):
    """A module that stores a number, and uses it in its outputs or not."""

    def __init__(self, shown: bool = True) -> None:
        super().__init__()
        self.shown, self.layer, self.level = shown, nn.Linear(2, 2), 0.0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.level = 0.9 * self.level + float(x.detach().norm())
        logits: Tensor = self.layer(x)
        return logits * (1 + self.level) if self.shown else logits


class Strange(nn.Module):
    """A module with tensors that cannot be compared in the usual way, and that it does not change."""

    def __init__(self, mapped: bool = False) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(2, 2), 0
        self.graph: Tensor | None = None
        if mapped:
            return
        self.shape_only = torch.empty(2, device="meta")
        self.missing = torch.tensor([float("nan"), 1.0])
        self.ragged = torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)])

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.graph = torch.eye(2).to_sparse()
        logits: Tensor = self.layer(x)
        return logits


class Cells(nn.Module):
    """A module with its memory in an unregistered module (in a list), and with a list that contains itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.cells = [Remembering("persistent")]
        self.log = logging.getLogger("cells")
        self.circle: list[Any] = [torch.zeros(2)]
        self.circle.append(self.circle)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        self.circle[0] = x.detach().mean(0)
        self.cells[0].write(self.cells[0].read() + x.detach().mean(0))
        return logits + self.cells[0].read()


class Unready(Remembering):
    """A module that computes nothing while its memory is empty."""

    def read(self) -> Tensor:
        if not self.training and self.memory is None:
            raise ValueError("no input has been seen yet")
        return super().read()


KEPT = ["buffer", "tensor", "list", "dict", "tuple", "object", "none", "array"]


def trained(model: Any, task: Any = toys.signs, seeds: tuple[int, ...] = (0,), **changes: Any) -> None:
    backends.train(Recipe(task, model, **{"steps": 5, "batch": 8, **changes}), seeds)


@pytest.mark.parametrize("kept", KEPT)
def test_a_memory_outside_the_state_dict_is_refused_by_its_name(kept: str) -> None:
    with pytest.raises(MemkitError) as caught:
        trained(Remembering, options={"kept": kept})
    text = str(caught.value)
    assert f"training changed the {'buffer' if kept == 'buffer' else 'attribute'} 'memory' of Remembering" in text
    assert "self.register_buffer('memory', tensor)" in text
    assert "\n" not in text


@pytest.mark.parametrize("kept", [kept for kept in KEPT if kept != "none"])
def test_a_memory_that_does_not_affect_outputs_is_refused_too(kept: str) -> None:
    """A claim's test may read such a memory."""
    with pytest.raises(MemkitError, match=r"training changed the (buffer|attribute) 'memory'"):
        trained(Remembering, options={"kept": kept, "shown": False})


def test_a_number_is_refused_if_outputs_depend_on_it() -> None:
    trained(Threshold, options={"shown": False})
    with pytest.raises(MemkitError, match="training changed the attribute 'level' of Threshold"):
        trained(Threshold)


def test_a_memory_in_a_module_that_is_not_registered_is_refused() -> None:
    with pytest.raises(MemkitError, match="training changed the attribute 'cells' of Cells"):
        trained(Cells)


def test_the_place_of_the_attribute_is_named() -> None:
    with pytest.raises(MemkitError, match=r"the buffer 'parts\.1\.memory' of Deep"):
        trained(Deep)


def test_a_model_that_computes_nothing_without_its_memory_is_refused() -> None:
    with pytest.raises(MemkitError, match="the attribute 'memory' of Unready"):
        trained(Unready, options={"kept": "none"})


@pytest.mark.parametrize("kept", ["buffer", "tensor", "list", "none"])
@pytest.mark.parametrize("seeds", [(3,), (3, 5, 8)])
def test_a_memory_outside_the_state_dict_is_refused_under_vmap(kept: str, seeds: tuple[int, ...]) -> None:
    with pytest.raises(MemkitError, match="'memory' of Remembering"):
        trained(Remembering, seeds=seeds, vmap=True, options={"kept": kept})


@pytest.mark.parametrize("task", [toys.Halves(), toys.Enough()])
def test_a_memory_outside_the_state_dict_is_refused_with_a_seed_axis(task: Any) -> None:
    with pytest.raises(MemkitError, match="the attribute 'memory' of Axis"):
        trained(Axis, task, seeds=(4, 2, 9, 7), steps=30)


@pytest.mark.parametrize("vmap", [False, True])
def test_a_memory_in_the_state_dict_is_accepted(vmap: bool) -> None:
    trained(Remembering, seeds=(1, 2), vmap=vmap, options={"kept": "persistent"})


@pytest.mark.parametrize(
    ("kept", "vmap"),
    [*((kept, vmap) for kept in ("mask", "dict", "list", "heard") for vmap in (False, True)), ("weight_norm", False)],
)
def test_attributes_that_evaluation_recomputes_or_does_not_read_are_accepted(kept: str, vmap: bool) -> None:
    trained(Caching, seeds=(1, 2), vmap=vmap, options={"kept": kept})


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_attributes_that_cannot_be_compared_are_accepted() -> None:
    trained(Strange)
    trained(Strange, seeds=(1, 2), vmap=True, options={"mapped": True})


def test_a_refused_run_is_not_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", session="here")
    store.prepare()
    recipe = Recipe(toys.signs, Remembering, steps=5, batch=8)
    with pytest.raises(MemkitError, match="'memory'"):
        train_missing(recipe, recipe.digest, [0], store)
    assert store.missing(recipe.digest, [0]) == [0]


def test_the_check_does_not_change_a_run() -> None:
    """The check does not affect the results of training or the state of the random number generators."""
    from memkit.training.trainer import train

    recipe = Recipe(toys.signs, Caching, steps=5, batch=8)
    before = torch.get_rng_state()
    (run,), (plain,) = backends.train(recipe, [3]), train(recipe, [3])
    assert torch.equal(before, torch.get_rng_state())
    assert run.history == plain.history
    assert all(torch.equal(run.state[name], plain.state[name]) for name in plain.state)
