"""Cohorts as tasks of a Ray cluster: the runs are the same as on this machine, and a node may die."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from memkit import MemkitError, MemkitWarning, Recipe
from memkit.scheduling.cohorts import Cohort, Training, train_missing
from memkit.scheduling.executor import Result
from memkit.store.store import Store
from tests.machines import toys
from tests.machines.bench import COHORT, Bench
from tests.machines.clocks import PATIENCE, until
from tests.machines.clusters import Two, two_nodes

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to find the node of a process")

from memkit.scheduling.ray_executor import RayExecutor  # noqa: E402

ORDINARY = Recipe(toys.signs, toys.Ordinary, steps=5, batch=4)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Two]:
    with two_nodes() as made:
        yield made


@pytest.fixture(scope="module")
def executor(cluster: Two) -> Iterator[RayExecutor]:
    made = RayExecutor(cluster.address)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


@pytest.fixture
def bench(executor: RayExecutor, store: Store, tmp_path: Path) -> Bench:
    return Bench(executor, store, tmp_path)


def test_a_cluster_gives_the_same_runs_and_explains_failures(
    bench: Bench, executor: RayExecutor, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising, dying = bench.witnessed("raise"), bench.witnessed("die")
    other_code = replace(Training.of(COHORT), digest="ab" * 16)
    nowhere = replace(Training.of(COHORT), digest="cd" * 16, recipe={**COHORT.to_json(), "model": "no_such:Net"})
    assert (executor.slots, executor.attempts) == (2, 4)
    monkeypatch.setattr(executor, "attempts", 2)  # each attempt takes seconds
    for recipe in (COHORT, ORDINARY, raising, dying):
        bench.add(recipe, 1, 2)
    bench.queue.add([Cohort(training, (1, 2)) for training in (other_code, nowhere)])

    bench.queue.run()

    alone = Store(tmp_path / "alone")
    for recipe in (COHORT, ORDINARY):
        train_missing(recipe, recipe.digest, [1, 2], alone)
        for seed in (1, 2):
            assert bench.result(recipe, seed) == Result("trained")
            ours, theirs = (where.load(recipe.digest, seed) for where in (alone, store))
            assert ours is not None
            assert theirs is not None
            assert ours.history == theirs.history
            torch.testing.assert_close(ours.state, theirs.state, rtol=0, atol=0)
    result = bench.result(raising)
    assert result is not None
    assert (result.kind, result.reason) == ("failed", "RuntimeError: the dog ate the data")
    assert result.details.startswith("Traceback")
    assert bench.result(dying) == Result(
        "failed", "the process that trained it died twice, perhaps because it ran out of memory"
    )
    assert bench.outcomes["ab" * 16, 1].reason.endswith(
        "in another form: its code or data differ from those of the process that requested it; make them the same"
    )
    assert store.missing("ab" * 16, [1, 2]) == [1, 2]
    assert bench.outcomes["cd" * 16, 1].kind == "unloadable"


def test_a_store_that_the_nodes_do_not_share_is_reported(bench: Bench, tmp_path: Path) -> None:
    class Elsewhere(Store):
        """The store as the calling process sees it."""

        def missing(self, digest: str, seeds: object) -> list[int]:
            return [1]

        def __reduce__(self) -> tuple[object, ...]:
            return Store, (self.root,)

    store = Elsewhere(tmp_path / "elsewhere")
    job = bench.queue.executor.submit(Cohort(Training.of(COHORT), (1,)), store)
    result = job.result.result(PATIENCE)
    assert result.kind == "failed"
    assert result.reason == (
        f"it was trained on another node, but is not in the store {store}; with --store, choose one that all nodes "
        "share: a folder on a shared file system, or a URL"
    )
    assert job.fraction_done() == 1.0


def test_a_cohort_that_fits_on_no_node_waits_with_a_warning(bench: Bench, store: Store) -> None:
    with pytest.warns(
        MemkitWarning, match="it requests 64 CPUs, and waits until the cluster has a node with that many"
    ):
        bench.queue.executor.submit(Cohort(Training.of(replace(COHORT, cpus=64)), (9,)), store)


class Unknown:
    """An object that a node cannot unpickle, because it lacks a module."""

    def __reduce__(self) -> tuple[object, ...]:
        return importlib.import_module, ("no_such_module",)


def test_a_node_that_cannot_begin_says_why(
    bench: Bench, executor: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "files", {"module": Unknown()})
    bench.add(COHORT, 7)
    bench.queue.run()
    result = bench.result(COHORT, 7)
    assert result is not None
    assert result.kind == "failed"
    assert "no_such_module" in result.reason + result.details
    assert "died" not in result.reason


def test_progress_is_reported(bench: Bench, tmp_path: Path) -> None:
    go = tmp_path / "go"
    bench.add(COHORT.with_(task=toys.Paced(file=str(go), batches=60), steps=60), 1, 2)

    def has_progress() -> bool:
        bench.queue.step(0.1)
        return bench.queue.progress.share > 0

    until(has_progress)
    assert bench.queue.progress.share < 1
    assert not bench.outcomes
    go.touch()
    bench.queue.run()
    assert set(bench.outcomes.values()) == {Result("trained")}
    assert bench.queue.progress.share == 1.0


def test_a_cluster_without_a_gpu_is_refused(executor: RayExecutor, cluster: Two) -> None:
    with pytest.raises(MemkitError, match="--device cuda: no node of the Ray cluster has a GPU"):
        RayExecutor(cluster.address, device="cuda")


def test_a_node_that_dies_loses_nothing_that_was_finished(cluster: Two, bench: Bench, store: Store) -> None:
    # This must be the last test, because only one node is left after it. Each node trains one cohort. The seeds of an
    # ordinary module train one after another: when a node is lost, the first seed of each cohort is finished, and the
    # second waits.
    folder = bench.witnesses("wait")
    first = replace(ORDINARY, task=bench.witnessed("wait", at=2).task)
    second = first.with_(lr=0.002)
    for recipe in (first, second):
        bench.add(recipe, 1, 2)

    def both_wait() -> bool:
        bench.queue.step(0.1)
        return len(toys.witnesses(folder, 2)) == 2

    until(both_wait)
    assert [store.missing(recipe.digest, [1, 2]) for recipe in (first, second)] == [[2], [2]]
    on_head, on_other = sorted(toys.witnesses(folder, 2), key=cluster.on_the_other)
    assert (cluster.on_the_other(on_head), cluster.on_the_other(on_other)) == (False, True)

    cluster.kill_the_other()
    until(lambda: not Path(f"/proc/{on_other}").exists())
    bench.release("wait")
    bench.queue.run()

    assert set(bench.outcomes.values()) == {Result("trained")}
    assert len(bench.outcomes) == 4
    assert len(toys.witnesses(folder, 1)) == 2, "finished seeds were not trained again"
    assert len(toys.witnesses(folder, 2)) == 3, "only the lost seed was trained again"
    assert all(store.load(recipe.digest, seed) for recipe in (first, second) for seed in (1, 2))
