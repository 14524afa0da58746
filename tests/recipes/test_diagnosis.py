"""Models that cannot be trained or stored are rejected before training begins, with the name of the module."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from memkit import MemkitError, Recipe
from memkit.recipes import backends
from memkit.scheduling.cohorts import load_or_train, restore_or_retrain
from memkit.store.store import Store
from tests.machines import toys


def symbols(generator: torch.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Draw two of five symbols as input; the target is whether the first is greater than 2."""
    x = torch.randint(5, (size, 2), generator=generator)
    return x, (x[:, 0] > 2).long()


class Lazy(nn.Module):
    def __init__(self, kind: str = "linear") -> None:
        super().__init__()
        lazy = {"linear": nn.LazyLinear(2), "norm": nn.LazyBatchNorm1d(affine=False)}[kind]
        self.layers = nn.Sequential(nn.Linear(2, 2), lazy)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class Counting(nn.Module):
    """A module that counts its training batches in its extra state."""

    def __init__(self, as_tensor: bool = False) -> None:
        super().__init__()
        self.as_tensor, self.layer, self.count = as_tensor, nn.Linear(2, 2), 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += self.training
        logits: Tensor = self.layer(x)
        return logits

    def get_extra_state(self) -> Any:
        return torch.tensor(self.count) if self.as_tensor else {"count": self.count}

    def set_extra_state(self, state: Any) -> None:
        self.count = int(state if self.as_tensor else state["count"])


class Within(nn.Module):
    def __init__(self, as_tensor: bool = False) -> None:
        super().__init__()
        self.part = Counting(as_tensor)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.part(x)
        return logits


class Odd(nn.Module):
    """A module with a buffer that cannot be stored."""

    def __init__(self, kind: str = "sparse") -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        odd = {"sparse": torch.eye(2).to_sparse(), "double": torch.zeros(2, dtype=torch.complex128)}[kind]
        self.register_buffer("odd", odd)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x)
        return logits


class Embedded(nn.Module):
    def __init__(self, how: str = "module") -> None:
        super().__init__()
        self.how, self.last = how, nn.Linear(3, 2)
        self.table = nn.Embedding(5, 3, sparse=how != "dense")
        if how == "bag":
            self.table = nn.EmbeddingBag(5, 3, sparse=True)
        elif how == "function":
            del self.table
            self.weight = nn.Parameter(torch.randn(5, 3))
        elif how == "frozen":
            self.table.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "function":
            x = nn.functional.embedding(x, self.weight, sparse=True).sum(1)
        else:
            x = self.table(x) if self.how == "bag" else self.table(x).sum(1)
        logits: Tensor = self.last(x)
        return logits


def trained(task: Any, model: Any, *, vmap: bool = False, **options: Any) -> Any:
    return backends.train(Recipe(task, model, options=options, vmap=vmap, steps=3, batch=8), [0, 1])


@pytest.mark.parametrize(
    ("task", "model", "vmap", "options", "message"),
    [
        (toys.signs, Lazy, False, {}, "'layers.1' (LazyLinear) has no shape until the first batch"),
        (toys.signs, Lazy, True, {}, "give the number of inputs, with Linear(...) instead of LazyLinear(...)"),
        (toys.signs, Lazy, True, {"kind": "norm"}, "'layers.1' (LazyBatchNorm1d) has no shape"),
        (
            toys.signs,
            Within,
            False,
            {},
            "'part' (Counting) returns a dict from get_extra_state(), but only tensors can be stored",
        ),
        (toys.signs, Counting, False, {}, "Counting on signs: Counting returns a dict from get_extra_state()"),
        (
            toys.signs,
            Within,
            True,
            {"as_tensor": True},
            "'part' (Counting) has get_extra_state(), but with vmap the first",
        ),
        (toys.signs, Odd, False, {}, "Odd has 'odd' as a tensor that is not dense"),
        (toys.signs, Odd, False, {"kind": "double"}, "Odd has 'odd' in torch.complex128"),
        (
            symbols,
            Embedded,
            True,
            {},
            "'table' (Embedding) has sparse gradients, which vmap does not support; leave out sparse=True",
        ),
        (symbols, Embedded, True, {"how": "bag"}, "'table' (EmbeddingBag) has sparse gradients"),
        (symbols, Embedded, True, {"how": "function"}, "the model has sparse gradients, which vmap does not support"),
    ],
)
def test_models_that_cannot_be_trained_or_stored_are_refused_with_the_name_of_the_module(
    task: Any, model: Any, vmap: bool, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MemkitError, match=re.escape(message)) as caught:
        trained(task, model, vmap=vmap, **options)
    text = str(caught.value)
    assert text.startswith(f"{model.__name__} on {task.__name__}")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("task", "model", "vmap", "options"),
    [
        (toys.signs, Lazy, False, {"kind": "norm"}),
        (toys.signs, Within, False, {"as_tensor": True}),
        (symbols, Embedded, False, {}),
        (symbols, Embedded, False, {"how": "bag"}),
        (symbols, Embedded, True, {"how": "dense"}),
        (symbols, Embedded, True, {"how": "frozen"}),
    ],
)
def test_other_models_are_trained_and_stored(
    tmp_path: Path, task: Any, model: Any, vmap: bool, options: dict[str, Any]
) -> None:
    store = Store(tmp_path / "store", session="here")
    store.prepare()
    recipe = Recipe(task, model, options=options, vmap=vmap, steps=3, batch=8)
    run = load_or_train(recipe, recipe.digest, 0, store)
    _, again = restore_or_retrain(run, recipe, recipe.digest, store)
    assert all(torch.equal(tensor, run.state[name]) for name, tensor in again.state_dict().items())


def test_sparse_gradients_train_as_dense_ones_do() -> None:
    for one, other in zip(trained(symbols, Embedded), trained(symbols, Embedded, how="dense"), strict=True):
        assert all(torch.equal(one.state[name], other.state[name]) for name in other.state)
