"""The look scheduler in a model of xdist, in which workers run items, die and are replaced in any order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdist.scheduler import (
    EachScheduling,
    LoadFileScheduling,
    LoadGroupScheduling,
    LoadScheduling,
    LoadScopeScheduling,
    WorkStealingScheduling,
)

from memkit.pytest_plugin.look_scheduler import LookScheduler, can_replace

SCHEDULERS = (LoadScheduling, WorkStealingScheduling, LoadFileScheduling, LoadScopeScheduling, LoadGroupScheduling)


class Worker:
    """A worker as the scheduler sees it: it receives items, and at the end the message to shut down."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.assigned: list[int] = []
        self.ready = self.shutdown_sent = self.gone = False

    @property
    def shutting_down(self) -> bool:
        return self.shutdown_sent or self.gone

    def send_runtest_some(self, indices: Sequence[int]) -> None:
        assert not self.shutting_down, "an item was sent to a worker that will not run it"
        self.sent += indices
        self.assigned += indices

    def shutdown(self) -> None:
        self.shutdown_sent = True

    def __repr__(self) -> str:
        return f"{self.gateway.id}{self.assigned}"


def config(workers: int) -> Any:
    return SimpleNamespace(
        option=SimpleNamespace(loadscopereorder=True),
        getvalue=lambda name: [f"{workers}*popen"],
        getoption=lambda name: None,
    )


class Run:
    """A run of items, each of a look: nobody may run an item before all items of earlier looks are done.

    Args:
        restarts: how many workers are replaced when they die; after one more, xdist shuts the others down.
    """

    def __init__(
        self, chosen: type, ids: Sequence[str], looks: Sequence[int], workers: int, restarts: float = math.inf
    ) -> None:
        self.scheduler = LookScheduler(config(workers), chosen(config(workers)), lambda: True)
        self.ids, self.looks, self.restarts = ids, looks, restarts
        self.workers: list[Worker] = []
        self.coming = 0
        self.stopped = False
        self.run: list[int] = []
        self.crashed: list[int] = []
        for _ in range(workers):
            self.arrive()
        for worker in self.workers:
            self.collect(worker, schedule=worker is self.workers[-1])

    # Events, as xdist reports them ----------------------------------------------------------------

    def arrive(self) -> None:
        worker = Worker(f"gw{len(self.workers)}")
        self.workers.append(worker)
        self.scheduler.add_node(worker)

    def collect(self, worker: Worker, *, schedule: bool = True) -> None:
        worker.ready = True
        self.scheduler.add_node_collection(worker, list(self.ids))
        if schedule:
            assert self.scheduler.collection_is_completed
            self.scheduler.schedule()

    def finish(self, worker: Worker) -> None:
        index = worker.assigned.pop(0)
        self.run.append(index)
        self.scheduler.mark_test_complete(worker, index)

    def leave(self, worker: Worker) -> None:
        worker.gone = True
        assert self.scheduler.remove_node(worker) is None

    def die(self, worker: Worker) -> None:
        worker.gone = True
        lost = self.scheduler.remove_node(worker)
        assert lost == (self.ids[worker.assigned[0]] if worker.assigned else None)
        self.crashed += worker.assigned[:1]
        worker.assigned.clear()
        self.restarts -= 1
        if self.restarts >= 0:
            self.coming += 1
            return
        self.stopped = True
        self.coming = 0
        for other in self.scheduler.nodes:
            other.shutdown()

    # Possible next events ---------------------------------------------------------------------------

    @property
    def living(self) -> list[Worker]:
        return [worker for worker in self.workers if not worker.gone]

    def may_run(self, worker: Worker) -> bool:
        if not worker.assigned or not (worker.shutdown_sent or len(worker.assigned) > 1):
            return False  # a worker starts an item when it knows the next one, or that there is none
        if self.stopped and self.scheduler.unassigned_count:
            return True  # the controller then skips the items that wait
        done = {*self.run, *self.crashed}
        look = self.looks[worker.assigned[0]]
        return all(index in done for index in range(len(self.ids)) if self.looks[index] < look)

    def events(self) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = []
        for worker in self.living:
            if worker.shutdown_sent and not worker.assigned:
                found.append(partial(self.leave, worker))
            elif not worker.ready:
                found.append(partial(self.collect, worker))
            elif self.may_run(worker):
                found.append(partial(self.finish, worker))
        if self.coming:
            found.append(self.replace)
        return found

    def replace(self) -> None:
        self.coming -= 1
        self.arrive()

    # Invariants --------------------------------------------------------------------------------------

    def check(self) -> None:
        out = [index for worker in self.living for index in worker.assigned]
        done = self.run + self.crashed
        assert len({*out, *done}) == len(out) + len(done), "an item was handed out twice"
        assert self.scheduler.unassigned_count == len(self.ids) - len(out) - len(done), "an item was lost"
        assert self.scheduler.has_pending == (len(done) < len(self.ids))
        for worker in self.living:
            if worker.ready and not worker.shutdown_sent:
                assert len(worker.assigned) == 2, f"{worker} may wait for its next item for ever"
        if self.scheduler.tests_finished:
            assert not self.scheduler.unassigned_count
            assert all(len(worker.assigned) < 2 for worker in self.living)
        owners: dict[str, Worker] = {}
        for worker in self.living:
            for index in worker.sent:
                if scope := self.scheduler._scope(self.ids[index]):
                    assert owners.setdefault(scope, worker) is worker, f"{scope} is spread over workers that live"


@st.composite
def suites(draw: st.DrawFn) -> tuple[type, list[str], list[int]]:
    """Items in the order of their looks, from a few files and groups, and how they are distributed."""
    chosen = draw(st.sampled_from(SCHEDULERS))
    looks = sorted(draw(st.lists(st.integers(0, 2), min_size=1, max_size=24)))
    files = draw(st.lists(st.sampled_from("abc"), min_size=len(looks), max_size=len(looks)))
    groups = draw(st.lists(st.sampled_from(["", "", "@one", "@two"]), min_size=len(looks), max_size=len(looks)))
    ids = [f"test_{file}.py::test_x[{i}]{group}" for i, (file, group) in enumerate(zip(files, groups, strict=True))]
    return chosen, ids, looks


@given(
    suite=suites(),
    workers=st.integers(1, 5),
    deaths=st.integers(0, 6),
    restarts=st.sampled_from([math.inf, math.inf, 0, 1, 3]),
    fate=st.randoms(use_true_random=False),
)
def test_every_item_runs_once_even_if_workers_die(
    suite: tuple[type, list[str], list[int]], workers: int, deaths: int, restarts: float, fate: random.Random
) -> None:
    chosen, ids, looks = suite
    run = Run(chosen, ids, looks, workers, restarts)
    run.check()
    while run.living or run.coming:
        if deaths and run.living and fate.random() < 0.15:
            deaths -= 1
            run.die(fate.choice(run.living))
        else:
            events = run.events()
            assert events, f"everybody waits: {run.living}, {run.scheduler.unassigned_count} items left"
            fate.choice(events)()
        run.check()
    if not run.stopped:
        assert sorted(run.run + run.crashed) == list(range(len(ids)))
        assert run.scheduler.tests_finished


@given(suite=suites(), workers=st.integers(1, 30), fate=st.randoms(use_true_random=False))
def test_a_worker_gets_its_items_in_order(
    suite: tuple[type, list[str], list[int]], workers: int, fate: random.Random
) -> None:
    chosen, ids, looks = suite
    run = Run(chosen, ids, looks, workers)
    while events := run.events():
        fate.choice(events)()
    assert all(worker.sent == sorted(worker.sent) for worker in run.workers)
    assert sum(bool(worker.sent) for worker in run.workers) == min(
        workers, len({run.scheduler._scope(i) or i for i in ids})
    )


def ids_of(*names: str) -> list[str]:
    return [f"test_{name}.py::test_x[{i}]" for i, name in enumerate(names)]


def test_each_worker_gets_one_item_before_any_gets_a_second() -> None:
    run = Run(LoadScheduling, ids_of(*"aaaaaa"), [0] * 6, workers=2)
    one, two = run.workers
    assert (one.sent, two.sent) == ([0, 2], [1, 3])
    run.finish(two)
    run.finish(two)
    assert (one.sent, two.sent) == ([0, 2], [1, 3, 4, 5])
    assert not one.shutdown_sent
    run.finish(two)
    assert two.shutdown_sent
    assert two.assigned == [5]  # item 5 was sent before the message to shut down


def test_the_items_of_a_group_stay_on_one_worker_until_it_dies() -> None:
    run = Run(LoadFileScheduling, ids_of(*"abababab"), [0] * 8, workers=3)
    one, two, three = run.workers
    assert (one.sent, two.sent, three.sent, three.shutdown_sent) == ([0, 2], [1, 3], [], True)
    run.leave(three)
    run.die(one)
    run.replace()
    run.collect(run.workers[-1])
    assert run.workers[-1].sent == [2, 4]
    assert run.crashed == [0]


def test_the_item_of_a_dead_worker_is_not_queued_behind_one_that_waits_for_it() -> None:
    run = Run(LoadScheduling, ids_of(*"aaaaaa"), [0, 0, 0, 0, 1, 1], workers=2)
    one, two = run.workers
    run.finish(two)
    assert (one.assigned, two.assigned) == ([0, 2], [3, 4])
    run.die(one)
    run.finish(two)
    assert two.assigned == [4, 5]  # 4 may wait for 2
    run.replace()
    run.collect(run.workers[-1])
    assert run.workers[-1].assigned == [2]


def test_a_worker_that_collected_other_items_is_shut_down() -> None:
    run = Run(LoadScheduling, ids_of(*"aaaa"), [0, 0, 1, 1], workers=1)
    run.die(run.workers[0])
    run.replace()
    stranger = run.workers[-1]
    run.scheduler.add_node_collection(stranger, ["test_a.py::test_y"])
    run.scheduler.schedule()
    assert stranger.shutdown_sent
    assert not stranger.sent
    assert run.scheduler.collections_differ
    assert run.scheduler.unassigned_count == 3


def test_an_item_that_a_plugin_repeats_is_distributed_again() -> None:
    run = Run(LoadScheduling, ids_of(*"aaa"), [0] * 3, workers=1)
    run.die(run.workers[0])
    run.scheduler.mark_test_pending(run.ids[0])  # this item killed the worker
    run.replace()
    run.collect(run.workers[-1])
    assert run.workers[-1].sent == [0, 1]


@pytest.mark.parametrize("chosen", SCHEDULERS)
def test_without_claims_the_chosen_scheduler_distributes_all_items(chosen: type) -> None:
    replaced = chosen(config(2))
    scheduler = LookScheduler(config(2), replaced, lambda: False)
    nodes = [Worker("gw0"), Worker("gw1")]
    for node in nodes:
        scheduler.add_node(node)
    assert scheduler.nodes == replaced.nodes == nodes
    assert not scheduler.collection_is_completed
    for node in nodes:
        scheduler.add_node_collection(node, ids_of(*"aabb"))
    assert scheduler.collection_is_completed
    scheduler.schedule()
    assert not scheduler.active
    assert sorted(nodes[0].sent + nodes[1].sent) == [0, 1, 2, 3]
    assert scheduler.has_pending
    while any(node.assigned for node in nodes):
        for node in nodes:
            if node.assigned:
                scheduler.mark_test_complete(node, node.assigned.pop(0))
    assert scheduler.tests_finished
    assert not scheduler.has_pending
    assert [scheduler.remove_node(node) for node in nodes] == [None, None]


def test_only_schedulers_that_give_an_item_to_one_worker_are_replaced() -> None:
    class Mine(LoadScopeScheduling):  # as the manual of xdist recommends
        pass

    assert can_replace(Mine(config(2)))
    assert can_replace(LoadScheduling(config(2)))
    assert not can_replace(EachScheduling(config(2)))
