"""Training into the store: every run is trained once, even if several processes need it or one of them dies."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import pickle
import sys
import warnings
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from memkit import MemkitError, MemkitWarning, Recipe
from memkit.scheduling.cohorts import (
    Cohort,
    Training,
    lacks_memory,
    load_or_train,
    plan_cohorts,
    restore_or_retrain,
    train_missing,
)
from memkit.store.store import Store
from memkit.training.trained_run import TrainedRun
from tests.machines import toys
from tests.machines.clocks import PATIENCE, until
from tests.machines.elsewhere import Elsewhere

RECIPE = Recipe(toys.Halves(), toys.Cohort, steps=5, batch=4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", session="here")
    made.prepare()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder in which :class:`toys.Witnessed` writes a file for every training."""
    made = tmp_path / "witnesses"
    made.mkdir()
    return made


def witnessed(folder: Path, act: str = "train") -> Recipe:
    return RECIPE.with_(task=toys.Witnessed(folder=str(folder), act=act))


def trainings(folder: Path) -> int:
    return len(list(folder.iterdir()))


def request(recipe: Recipe, *seeds: int) -> tuple[Training, tuple[int, ...]]:
    return Training.of(recipe), seeds


def test_a_plan_lists_each_recipe_once_with_its_missing_seeds_in_order_of_request(store: Store) -> None:
    long = RECIPE.with_(steps=50)
    again = Recipe(toys.Halves(), toys.Cohort, steps=5, batch=4)
    train_missing(RECIPE, RECIPE.digest, [3], store)
    for first, second in ((RECIPE, long), (long, RECIPE)):
        planned = plan_cohorts([request(first, 4, 1), request(second, 4, 1), request(again, 3, 2, 1)], store)
        assert [cohort.training for cohort in planned] == [Training.of(first), Training.of(second)]
        assert {c.training.digest: c.seeds for c in planned} == {RECIPE.digest: (1, 2, 4), long.digest: (1, 4)}
    assert plan_cohorts([request(RECIPE, 3)], store) == []
    assert plan_cohorts([request(RECIPE)], store) == []
    assert plan_cohorts([], store) == []


def test_a_training_has_plain_types_and_gives_the_recipe_again() -> None:
    training = Training.of(RECIPE)
    assert Training(**json.loads(json.dumps(training.to_json()))) == training
    assert pickle.loads(pickle.dumps(Cohort(training, (1, 2)))) == Cohort(training, (1, 2))
    again = Recipe.from_json(training.recipe)
    assert (again, again.digest) == (RECIPE, training.digest)
    assert (training.summary, training.steps) == (RECIPE.summary, 5)


def test_a_cohort_gives_its_runs_and_its_name() -> None:
    training = Training.of(RECIPE)
    assert Cohort(training, (1, 2)).runs == {(RECIPE.digest, 1), (RECIPE.digest, 2)}
    assert str(Cohort(training, (1, 2))) == f"{RECIPE.summary}, 2 seeds"
    assert str(Cohort(training, (1,))) == f"{RECIPE.summary}, 1 seed"


def test_only_missing_runs_are_trained(store: Store, folder: Path) -> None:
    recipe = witnessed(folder)
    train_missing(recipe, recipe.digest, [1, 2], store)
    train_missing(recipe, recipe.digest, [1, 2, 3], store)
    train_missing(recipe, recipe.digest, [3, 1], store)
    assert trainings(folder) == 3
    manifest = store.root / "runs" / recipe.digest[:2] / recipe.digest / "3" / "run.json"
    made = json.loads(manifest.read_text())["made"]
    assert (made["cohort"], made["device"], made["torch"]) == (1, "cpu", importlib.metadata.version("torch"))


def test_a_run_is_trained_once_and_then_loaded(store: Store, folder: Path) -> None:
    recipe = witnessed(folder)
    first, second = (load_or_train(recipe, recipe.digest, 1, store) for _ in range(2))
    assert trainings(folder) == 1
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)
    load_or_train(recipe, recipe.digest, 1, Store(store.root, session="other", retrain=True))
    assert trainings(folder) == 2
    load_or_train(recipe, recipe.digest, 1, Store(store.root, session="other", retrain=True))
    assert trainings(folder) == 2


@pytest.mark.parametrize("name", ["weights.safetensors", "run.json", "recipe.json", "manifest.json"])
def test_a_damaged_run_is_trained_again_to_the_same_weights(store: Store, folder: Path, name: str) -> None:
    recipe = witnessed(folder)
    whole = load_or_train(recipe, recipe.digest, 1, store)
    path = store.root / "runs" / recipe.digest[:2] / recipe.digest / "1" / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.warns(MemkitWarning, match="it is trained again"):
        again = load_or_train(recipe, recipe.digest, 1, store)
    assert trainings(folder) == 2
    assert all(torch.equal(whole.state[name], again.state[name]) for name in whole.state)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_or_train(recipe, recipe.digest, 1, store)


def foreign(store: Store, recipe: Recipe, state: dict[str, torch.Tensor]) -> TrainedRun:
    """Store weights that do not fit the recipe's model, as if they had been trained."""
    run = replace(load_or_train(recipe, recipe.digest, 1, store), state=state)
    store.save(recipe.digest, recipe.to_json(), run, made={})
    return run


def test_weights_of_another_model_are_trained_again(store: Store, folder: Path) -> None:
    recipe = witnessed(folder)
    whole = dict(load_or_train(recipe, recipe.digest, 1, store).state)
    name = next(iter(whole))
    for state in ({}, {**whole, name: torch.zeros(1, 9, 9)}, {**whole, "stray": torch.zeros(1)}):
        run, before = foreign(store, recipe, state), trainings(folder)
        with pytest.warns(MemkitWarning, match="is damaged: its weights do not fit its model: .*trained again"):
            run, model = restore_or_retrain(run, recipe, recipe.digest, store)
        assert trainings(folder) == before + 1
        for found in (run.state, model.state_dict(), load_or_train(recipe, recipe.digest, 1, store).state):
            assert all(torch.equal(whole[name], found[name]) for name in whole)


def test_a_model_that_cannot_be_built_leaves_the_trained_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(toys.Halves(), toys.Ordinary, steps=2, batch=4)
    run = load_or_train(recipe, recipe.digest, 1, store)
    monkeypatch.setattr(toys.Ordinary, "__init__", lambda self, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        restore_or_retrain(run, recipe, recipe.digest, store)
    assert store.has(recipe.digest, 1)


def test_a_device_without_enough_memory_leaves_the_trained_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_or_train(RECIPE, RECIPE.digest, 1, store)

    def to(model: torch.nn.Module, device: str) -> torch.nn.Module:
        if device == "cuda":
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        return model

    monkeypatch.setattr(toys.Cohort, "to", to)
    with pytest.raises(torch.OutOfMemoryError):
        restore_or_retrain(run, RECIPE, RECIPE.digest, store, device="cuda")
    assert store.has(RECIPE.digest, 1)


def test_a_model_that_cannot_load_its_own_weights_is_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_state_dict(*_: object) -> None:
        raise RuntimeError("no weights, please")

    run = load_or_train(RECIPE, RECIPE.digest, 1, store)
    monkeypatch.setattr(toys.Cohort, "load_state_dict", load_state_dict)
    with pytest.warns(MemkitWarning, match="no weights, please"), pytest.raises(RuntimeError, match="no weights"):
        restore_or_retrain(run, RECIPE, RECIPE.digest, store)


def test_training_leaves_the_settings_of_the_process_unchanged(store: Store) -> None:
    torch.set_num_threads(2)
    tiny = sys.float_info.min
    train_missing(RECIPE, RECIPE.digest, [1], store)
    assert tiny / 2 > 0, "denormal numbers are back"
    assert torch.get_num_threads() == 2
    torch.set_flush_denormal(True)
    try:
        train_missing(RECIPE, RECIPE.digest, [2], store)
        assert tiny / 2 == 0, "a process that has switched them off keeps them off"
    finally:
        torch.set_flush_denormal(False)


def test_a_diverged_run_is_kept_and_not_trained_again(store: Store, folder: Path) -> None:
    recipe = witnessed(folder).with_(optimizer="sgd", lr=1e30, weight_decay=1e10)
    assert load_or_train(recipe, recipe.digest, 1, store).diverged
    assert load_or_train(recipe, recipe.digest, 1, store).diverged
    assert trainings(folder) == 1


def test_training_that_raises_leaves_no_entry_and_no_lock(store: Store, folder: Path) -> None:
    recipe = witnessed(folder, "raise")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the dog ate the data"):
            load_or_train(recipe, recipe.digest, 1, store)
    assert store.missing(recipe.digest, [1]) == [1]


def test_seeds_that_train_one_after_another_are_kept_as_soon_as_they_are_finished(store: Store, folder: Path) -> None:
    task = toys.Witnessed(folder=str(folder), act="raise", at=2)
    shares: list[float] = []
    apart = Recipe(task, toys.Ordinary, steps=5, batch=4)
    with pytest.raises(RuntimeError, match="the dog ate the data"):
        train_missing(apart, apart.digest, [1, 2, 3], store, progress=shares.append)
    assert store.missing(apart.digest, [1, 2, 3]) == [2, 3]
    assert (shares, shares[-1]) == (sorted(shares), pytest.approx(1 / 3))
    together = RECIPE.with_(task=task)
    with pytest.raises(RuntimeError, match="the dog ate the data"):
        train_missing(together, together.digest, [1, 2, 3], store)
    assert store.missing(together.digest, [1, 2, 3]) == [1, 2, 3]


def test_a_store_that_cannot_be_written_is_reported_in_one_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memkit.store.store.write", fails)
    with pytest.raises(MemkitError, match="--store"):
        load_or_train(RECIPE, RECIPE.digest, 1, store)


def test_two_processes_that_need_the_same_run_train_it_once(
    store: Store, folder: Path, elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = witnessed(folder, "wait")
    theirs = elsewhere.call(toys.obtain_in_process, recipe.to_json(), str(store.root), 1)
    until(lambda: trainings(folder) or theirs.done())
    caplog.set_level(logging.DEBUG, "filelock")
    with ThreadPoolExecutor(1) as pool:
        ours = pool.submit(load_or_train, recipe, recipe.digest, 1, store)
        until(lambda: "waiting" in caplog.text or ours.done())  # for the lock that the other process holds
        assert [run.done() for run in (ours, theirs)] == [False, False]
        Path(f"{folder}.go").touch()
        assert theirs.result(PATIENCE) is None
        assert ours.result(PATIENCE).seed == 1
    assert trainings(folder) == 1
    assert store.has(recipe.digest, 1)


def test_a_process_that_is_killed_in_training_leaves_no_entry_and_no_lock(
    store: Store, folder: Path, elsewhere: Elsewhere
) -> None:
    recipe = witnessed(folder, "hang once")
    theirs = elsewhere.call(toys.obtain_in_process, recipe.to_json(), str(store.root), 1)
    until(lambda: trainings(folder) or theirs.done())
    assert not theirs.done()
    elsewhere.kill()
    assert isinstance(theirs.exception(PATIENCE), BrokenExecutor)
    assert not store.has(recipe.digest, 1)
    run = load_or_train(recipe, recipe.digest, 1, store)  # it would wait forever if the lock were still held
    assert trainings(folder) == 2
    assert run.metrics["steps"] == 5


# --- lack of memory -----------------------------------------------------------------------------------------


def test_a_cohort_that_does_not_fit_into_memory_is_halved(store: Store) -> None:
    reported: list[float] = []
    greedy = RECIPE.with_(model=toys.Greedy)
    train_missing(greedy, greedy.digest, [1, 2, 3, 4, 5], store, progress=reported.append)
    train_missing(RECIPE, RECIPE.digest, [1, 2, 3, 4, 5], store)
    for seed in range(1, 6):
        one, other = store.load(greedy.digest, seed), store.load(RECIPE.digest, seed)
        assert one is not None
        assert other is not None
        for name, tensor in one.state.items():
            torch.testing.assert_close(tensor, other.state[name], rtol=1e-4, atol=1e-6)
        assert store.made(greedy.digest, seed)["cohort"] <= 2
    assert reported == sorted(reported)
    assert reported[-1] == 1.0


def test_a_seed_that_does_not_fit_into_memory_fails_with_one_sentence(store: Store) -> None:
    greedy = RECIPE.with_(model=toys.Greedy, options={"room": 0})
    with pytest.raises(
        MemkitError, match=r"Greedy on Halves .*: there is not enough memory to train one seed on cpu \(tried to"
    ):
        train_missing(greedy, greedy.digest, [1, 2], store)
    assert store.missing(greedy.digest, [1, 2]) == [1, 2]


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("[malloc_or_wait] Unable to allocate 10000000000 bytes."), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of range"), False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_out_of_memory_errors_are_recognised(error: BaseException, lacks: bool) -> None:
    assert lacks_memory(error) is lacks
