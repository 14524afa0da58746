"""Each cohort is trained in a separate process, and its failure or death does not affect the others."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memkit import Recipe
from memkit.scheduling import executor as executor_module
from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import LocalExecutor, Result
from memkit.store.store import Store
from tests.machines import toys
from tests.machines.bench import Bench
from tests.machines.clocks import PATIENCE, until

RECIPE = Recipe(toys.Halves(), toys.Cohort, steps=5, batch=4)
ORDINARY = Recipe(toys.signs, toys.Ordinary, steps=5, batch=4)
DIED = Result("failed", "the process that trained it died twice, perhaps because it ran out of memory")


OTHERS: set[int] = set()
"""The ids of processes that tests of other modules have started."""


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """An executor with two processes for all tests of this module, because each takes seconds to start."""
    OTHERS.update(processes())
    made = LocalExecutor(2)
    yield made
    made.close()
    assert not processes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", session="here")
    made.prepare()
    return made


@pytest.fixture
def bench(executor: LocalExecutor, store: Store, tmp_path: Path) -> Bench:
    return Bench(executor, store, tmp_path)


def processes() -> set[int]:
    """Return the ids of the processes that the executor has started."""
    return {process.pid for process in multiprocessing.active_children() if process.pid is not None} - OTHERS


def test_cohorts_are_trained_and_failures_give_the_reason(bench: Bench, store: Store) -> None:
    raising, awkward, leaving = (bench.witnessed(act) for act in ("raise", "raise awkwardly", "exit"))
    diverging = RECIPE.with_(optimizer="sgd", lr=1e30, weight_decay=1e10)
    unloadable = replace(Training.of(RECIPE), digest="ab" * 16, recipe={**RECIPE.to_json(), "model": "no_such:Net"})
    for recipe in (raising, RECIPE, awkward, ORDINARY, leaving, diverging):
        bench.add(recipe, 1, 2)
    bench.queue.add([Cohort(unloadable, (1, 2))])

    bench.queue.run()

    for recipe in (RECIPE, ORDINARY, diverging):
        assert {bench.result(recipe, seed) for seed in (1, 2)} == {Result("trained")}
        runs = [store.load(recipe.digest, seed) for seed in (1, 2)]
        assert [run is not None and bool(run.diverged) for run in runs] == [recipe is diverging] * 2
    for recipe, reason in (
        (raising, "RuntimeError: the dog ate the data"),
        (awkward, "Awkward: two arguments"),
        (leaving, "SystemExit: no more"),
    ):
        result = bench.result(recipe)
        assert result is not None
        assert (result.kind, result.reason) == ("failed", reason)
        assert result.details.startswith("Traceback")
        assert ", in do\n" in result.details, "including the line of the task that raised"
        assert store.missing(recipe.digest, [1, 2]) == [1, 2]
    nowhere = bench.outcomes["ab" * 16, 1]
    assert (nowhere.kind, nowhere.reason) == ("unloadable", "ModuleNotFoundError: No module named 'no_such'")
    assert "Traceback" in nowhere.details
    assert Store(store.root, session="here", retrain=True).has(RECIPE.digest, 1), (
        "in the session of the calling process"
    )
    assert (bench.queue.progress.done, bench.queue.progress.total, bench.queue.progress.share) == (14, 14, 1.0)
    assert len(processes()) == 2, "failures end no process, and there is one process per slot"


def test_a_store_that_cannot_be_written_fails_with_one_sentence(bench: Bench, store: Store) -> None:
    shutil.rmtree(store.root / "runs")
    (store.root / "runs").touch()
    bench.add(RECIPE, 1)
    bench.queue.run()
    result = bench.result(RECIPE)
    assert result is not None
    assert (result.kind, result.details) == ("failed", "")
    assert "choose another folder with --store" in result.reason


def test_a_job_does_not_depend_on_the_previous_one(bench: Bench, executor: LocalExecutor, store: Store) -> None:
    lingering, waiting = bench.witnessed("wait and linger"), bench.witnessed("wait")
    first: Any = executor.submit(Cohort(Training.of(lingering), (1,)), store)
    assert first.fraction_done() < 1
    bench.release("wait and linger")
    assert first.result.result(PATIENCE) == Result("trained")
    assert first.process.connection.poll(), "it has reported progress that was not read"
    second = executor.submit(Cohort(Training.of(waiting), (1,)), store)
    assert (first.fraction_done(), second.fraction_done()) == (1.0, 0.0)
    bench.release("wait")
    assert second.result.result(PATIENCE) == Result("trained")
    assert second.fraction_done() == 1.0
    (pid,) = toys.witnesses(bench.witnesses("wait and linger"), 1)
    assert toys.witnesses(bench.witnesses("wait"), 1) == [pid], (
        "both must be in the same process, or this test shows nothing"
    )


def test_frequent_progress_reports_are_limited_in_rate(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reported: list[float] = []
    monkeypatch.setattr(executor_module, "_connection", SimpleNamespace(send=reported.append))
    monkeypatch.setattr(executor_module, "time", SimpleNamespace(monotonic=itertools.count().__next__))
    cohort = Cohort(Training.of(ORDINARY.with_(steps=100)), (1, 2, 3))
    assert executor_module._train(cohort, store, "cpu", {}) == Result("trained")
    assert 50 < len(reported) <= 100
    assert reported == sorted(reported)
    assert reported[-1] < 1


def test_a_killed_process_fails_only_its_cohort_and_only_the_second_time(bench: Bench, store: Store) -> None:
    waiting, dying = bench.witnessed("wait"), bench.witnessed("die")
    mortal = bench.witnessed("die once", ORDINARY, at=2)
    bench.add(waiting, 1)
    bench.add(mortal, 1, 2, 3)
    bench.add(dying, 1)

    bench.turn_until(mortal, 1, 2, 3)
    assert {bench.result(mortal, seed) for seed in (1, 2, 3)} == {Result("trained")}
    assert store.missing(mortal.digest, [1, 2, 3]) == []
    trained = [len(toys.witnesses(bench.witnesses("die once"), seed)) for seed in (1, 2, 3)]
    assert trained == [1, 2, 1], "only what was missing was trained again"
    assert len(processes()) == 2

    bench.turn_until(dying, 1)
    assert bench.result(dying) == DIED
    pids = toys.witnesses(bench.witnesses("die"), 1)
    assert len(set(pids)) == len(pids) == 2, "tried once more, in another process"
    assert store.missing(dying.digest, [1]) == [1]

    assert bench.result(waiting) is None, "the other cohort was being trained all the time"
    bench.release("wait")
    bench.turn_until(waiting, 1)
    assert bench.result(waiting) == Result("trained")
    assert len(toys.witnesses(bench.witnesses("wait"), 1)) == 1
    assert bench.queue.idle
    assert (bench.queue.progress.done, bench.queue.progress.total) == (5, 5)
    assert len(processes()) <= 2


def test_a_process_that_is_killed_while_it_is_idle_is_replaced(bench: Bench) -> None:
    bench.add(RECIPE, 1)
    bench.queue.run()
    for victim in processes():
        os.kill(victim, signal.SIGKILL)
    until(lambda: not processes())
    again = bench.witnessed("train")
    bench.add(again, 1)
    bench.queue.run()
    assert set(bench.outcomes.values()) == {Result("trained")}
    assert len(toys.witnesses(bench.witnesses("train"), 1)) == 1
    assert len(processes()) == 1


def test_closing_stops_running_training_and_keeps_finished_runs(
    bench: Bench, executor: LocalExecutor, store: Store
) -> None:
    recipe = bench.witnessed("hang once", ORDINARY, at=2)
    job = executor.submit(Cohort(Training.of(recipe), (1, 2)), store)
    until(lambda: toys.witnesses(bench.witnesses("hang once"), 2))
    (pid,) = toys.witnesses(bench.witnesses("hang once"), 2)
    fraction = job.fraction_done()

    executor.close()

    assert processes() == set()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert job.result.exception() is not None
    assert fraction <= job.fraction_done() < 1
    assert store.missing(recipe.digest, [1, 2]) == [2]
    assert store.load(recipe.digest, 1) is not None
    with store.lock(recipe.digest, [1, 2]):  # the locks are free again
        executor.close()  # closing twice is allowed
