"""An entry of a store, for tests that save it and inspect what is left of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from memkit import MemkitWarning
from memkit.store.store import Store
from memkit.training.trained_run import TrainedRun

DIGEST = "ab" * 16
FILES = ("weights.safetensors", "run.json", "recipe.json", "manifest.json")
RUN = TrainedRun(
    seed=10_003,
    state={
        "weight": torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(1)),
        "half": torch.tensor([1.5, math.nan, -math.inf], dtype=torch.float16),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
    },
    metrics={"loss": math.nan, "best": 1 / 3, "steps": 7, "parameters": 6, "cpu_seconds": 2.5, "worst": math.inf},
    history=((1, 0.1), (7, math.nan)),
    validation=((5, 0.3, 2 / 3), (7, math.nan, 0.1)),
    diverged="the loss was nan at step 7",
)


def save(store: Store, run: TrainedRun = RUN) -> Path:
    store.save(DIGEST, {"model": "toys:Cohort"}, run, made={"torch": "2"})
    return store.root / "runs" / DIGEST[:2] / DIGEST / str(run.seed)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore")


def assert_same(one: TrainedRun, other: TrainedRun) -> None:
    assert one.state.keys() == other.state.keys()
    for name, tensor in one.state.items():
        assert tensor.dtype == other.state[name].dtype
        assert tensor.shape == other.state[name].shape
        assert tensor.numpy().tobytes() == other.state[name].numpy().tobytes()
    assert repr(sorted(one.metrics.items())) == repr(sorted(other.metrics.items()))  # nan is nan
    for field in ("seed", "history", "validation", "diverged"):
        assert repr(getattr(one, field)) == repr(getattr(other, field))


def assert_gone(store: Store, entry: Path, match: str) -> None:
    """Load a damaged run, and assert that it is reported once and then no longer in the store."""
    with pytest.warns(MemkitWarning, match=match) as caught:
        assert store.load(DIGEST, RUN.seed) is None
    assert str(caught[0].message).startswith(f"the stored run {entry} ")
    assert str(caught[0].message).endswith("; it is trained again")
    assert not entry.exists()
    assert not store.has(DIGEST, RUN.seed)
    assert files(store.root) == []
    assert store.load(DIGEST, RUN.seed) is None, "there is no second warning"
