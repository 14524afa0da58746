"""Cohorts are trained in processes; one that fails is reported, and the others are in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from memkit import Recipe
from memkit.training.cohorts import plan
from memkit.training.executor import LocalExecutor, Progress
from memkit.training.store import Store
from tests.training import toys

RECIPE = Recipe(toys.Halves(), toys.Cohort, steps=5, batch=4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", session="here")
    made.prepare()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "witnesses"
    made.mkdir()
    return made


def told(folder: Path, act: str) -> Recipe:
    return RECIPE.with_(task=toys.Witnessed(folder=str(folder), act=act))


def run(recipes: list[Recipe], store: Store, workers: int = 2) -> list[Progress]:
    seen: list[Progress] = []
    LocalExecutor(workers=workers).train(plan([(recipe, [1, 2]) for recipe in recipes], store), store, seen.append)
    return seen


def test_cohorts_are_trained_and_those_that_raise_are_reported(store: Store, folder: Path) -> None:
    ordinary = Recipe(toys.signs, toys.Ordinary, steps=40, batch=4)
    raising, awkward = told(folder, "raise"), told(folder, "raise awkwardly")
    seen = run([raising, RECIPE, awkward, ordinary], store)
    assert {p.finished.digest: p.error for p in seen if p.finished} == {
        RECIPE.digest: "",
        ordinary.digest: "",
        raising.digest: "RuntimeError: the dog ate the data",
        awkward.digest: "Awkward: two arguments",
    }
    for recipe in (RECIPE, ordinary):
        assert store.missing(recipe.digest, [1, 2]) == []
        loaded = store.load(recipe.digest, 1)
        assert loaded is not None
        assert not loaded.diverged
    assert store.missing(raising.digest, [1, 2]) == [1, 2]
    assert Store(store.root, session="here", retrain=True).has(RECIPE.digest, 1), "in the session of who asked"
    last = seen[-1]
    assert (last.done, last.total, last.share, last.current) == (4, 4, 1.0, ())
    assert [p.share for p in seen] == sorted(p.share for p in seen)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_a_process_that_dies_is_reported_and_nobody_waits_for_it(store: Store, folder: Path) -> None:
    dying = told(folder, "die")
    seen = run([dying, RECIPE], store, workers=1)
    assert (seen[-1].done, seen[-1].total) == (2, 2)
    errors = {p.finished.digest: p.error for p in seen if p.finished}
    assert errors[dying.digest] == "a training process died"
    assert store.missing(dying.digest, [1, 2]) == [1, 2]
    # What the death took along is missing as a whole, not damaged: it is trained where it is needed.
    assert store.missing(RECIPE.digest, [1, 2]) in ([], [1, 2])


def test_nothing_to_train_is_no_work(store: Store) -> None:
    assert run([], store) == []


@pytest.mark.parametrize(("share", "remaining"), [(0.0, None), (0.01, None), (0.5, 10.0), (1.0, 0.0)])
def test_what_remains(share: float, remaining: float | None) -> None:
    progress = Progress(done=0, total=1, share=share, elapsed=10.0, current=())
    assert progress.remaining == remaining
