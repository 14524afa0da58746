"""The queue decides on the order and the sizes of cohorts, and loses none of them; these tests start no process."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import Result
from memkit.scheduling.queue import Progress, TrainingQueue
from memkit.store.store import Store
from tests.machines.clocks import PATIENCE

TRAINED, FAILED = Result("trained"), Result("failed", "the dog ate the data", "Traceback")
DIED = Result("failed", "the process that trained it died twice, perhaps because it ran out of memory")


class Job:
    """A cohort that is being trained until a test ends it."""

    def __init__(self, lab: Lab, cohort: Cohort) -> None:
        self.lab, self.cohort = lab, cohort
        self.result: Future[Result] = Future()
        self.done = 0.0

    def fraction_done(self) -> float:
        return self.done

    def end(self, result: Result | Exception = TRAINED, kept: Sequence[int] = ()) -> None:
        """End the job; ``kept`` are the seeds that are in the store although the cohort was not trained completely."""
        digest, seeds = self.cohort.training.digest, self.cohort.seeds if result == TRAINED else kept
        self.lab.kept |= {(digest, seed) for seed in seeds}
        self.lab.running.remove(self)
        if isinstance(result, Exception):
            self.result.set_exception(result)
        else:
            self.result.set_result(result)


class Lab(Store):
    """An executor, a store, and a record of the cohorts that have ended."""

    attempts = 2

    def __init__(self, slots: int = 1, *, meanwhile: Callable[[Job], None] = lambda job: None) -> None:
        super().__init__(Path("nowhere"))
        self.slots = slots
        self.meanwhile = meanwhile
        self.running: list[Job] = []
        self.sent: list[Cohort] = []
        self.kept: set[tuple[str, int]] = set()
        self.ended: list[tuple[Cohort, Result]] = []

    def submit(self, cohort: Cohort, store: Store) -> Job:
        assert store is self
        assert len(self.running) < self.slots
        self.sent.append(cohort)
        job = Job(self, cohort)
        self.running.append(job)
        self.meanwhile(job)
        return job

    def close(self) -> None:
        raise AssertionError("the queue must not close the executor")

    def missing(self, digest: str, seeds: Iterable[int]) -> list[int]:
        return [seed for seed in seeds if (digest, seed) not in self.kept]

    def note(self, cohort: Cohort, result: Result) -> None:
        self.ended.append((cohort, result))

    def outcomes(self) -> dict[tuple[str, int], Result]:
        """Return (digest, seed) → result for all runs that have ended; each must have ended once."""
        ended = [(run, result) for cohort, result in self.ended for run in cohort.runs]
        assert len(ended) == len(dict(ended))
        return dict(ended)


def cohort(name: str, seeds: int | Sequence[int] = 1, steps: int = 100) -> Cohort:
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    return Cohort(Training(name, {}, f"Net on {name}", steps), numbers)


def start(lab: Lab, *cohorts: Cohort, seconds: dict[str, float] | None = None) -> TrainingQueue:
    queue = TrainingQueue(lab, lab, seconds=seconds, ended=lab.note)
    queue.add(cohorts)
    queue.step(0)
    return queue


def pieces(lab: Lab) -> list[tuple[str, int]]:
    return [(cohort.training.digest, len(cohort.seeds)) for cohort in lab.sent]


# --- order and pieces ---------------------------------------------------------------------------------------


def test_cohorts_are_trained_in_the_order_of_request() -> None:
    lab = Lab()
    queue = start(lab, cohort("b", steps=1), cohort("a", 3, steps=1000))
    queue.add([cohort("c")])
    while lab.running:
        assert not queue.step(0)
        lab.running[0].end()
        assert queue.step(0)
        queue.step(0)
    assert pieces(lab) == [("b", 1), ("a", 3), ("c", 1)]
    assert [c for c, _ in lab.ended] == lab.sent
    assert queue.idle
    assert queue.progress == Progress(done=5, total=5, share=1.0, remaining=0.0, current=())


@pytest.mark.parametrize(
    ("slots", "sizes"), [(1, [16]), (2, [8, 8]), (3, [6, 5, 5]), (5, [4, 3, 3, 3, 3]), (16, [1] * 16)]
)
def test_one_cohort_is_shared_by_all_slots(slots: int, sizes: list[int]) -> None:
    lab = Lab(slots)
    start(lab, cohort("a", 16))
    assert [len(c.seeds) for c in lab.sent] == sizes
    assert [seed for c in lab.sent for seed in c.seeds] == list(range(16))


@given(seeds=st.integers(1, 70), slots=st.integers(1, 70), seconds=st.floats(0, 1e4))
def test_no_slot_is_idle_and_every_part_is_trained(seeds: int, slots: int, seconds: float) -> None:
    lab = Lab(slots)
    start(lab, cohort("a", seeds), seconds={"a": seconds})
    assert sum(len(c.seeds) for c in lab.sent) == seeds, "no piece has to wait for another"
    assert max(len(c.seeds) for c in lab.sent) <= max(math.ceil(seeds / slots), 1.25 * seeds / slots)


def test_of_three_equal_cohorts_on_two_slots_the_last_is_halved() -> None:
    lab = Lab(2)
    queue = start(lab, cohort("a", 8), cohort("b", 8), cohort("c", 8))
    assert pieces(lab) == [("a", 8), ("b", 8)]
    lab.running[1].done = 0.9
    lab.running[0].end()
    queue.step(0)
    queue.step(0)
    assert pieces(lab)[2:] == [("c", 4)]
    lab.running[0].end()
    queue.step(0)
    queue.step(0)
    assert pieces(lab)[2:] == [("c", 4), ("c", 4)]


def test_the_remaining_work_of_other_slots_counts() -> None:
    lab = Lab(2)
    queue = start(lab, cohort("long", steps=1000), cohort("a", 4, steps=100))
    assert pieces(lab) == [("long", 1), ("a", 4)], "the other slot is busy for longer anyway"
    lab.running[1].end()
    lab.running[0].done = 0.95
    queue.add([cohort("b", 4, steps=100)])
    queue.step(0)
    queue.step(0)
    assert pieces(lab)[2:] == [("b", 2)], "now the other slot will soon be free"


def test_known_costs_determine_the_split() -> None:
    equal = [cohort("a", 8), cohort("b", 8)]
    lab = Lab(2)
    start(lab, *equal)
    assert pieces(lab) == [("a", 8), ("b", 8)]
    lab = Lab(2)
    start(lab, *equal, seconds={"a": 10.0, "b": 1.0})
    assert pieces(lab) == [("a", 4), ("a", 4)]
    lab = Lab(2)
    start(lab, *equal, seconds={"a": 0.0, "b": 0.0})
    assert pieces(lab) == [("a", 8), ("b", 8)], "cohorts with unmeasurably small costs can still be compared"


# --- death and failure --------------------------------------------------------------------------------------


def test_after_a_death_the_missing_seeds_are_tried_once_more_before_all_others() -> None:
    lab = Lab()
    queue = start(lab, cohort("a", 4), cohort("b"))
    lab.running[0].end(BrokenProcessPool("killed"), kept=[0, 2])
    assert queue.step(0)
    assert lab.ended == [(cohort("a", [0, 2]), TRAINED)]
    queue.step(0)
    assert lab.sent[1:] == [cohort("a", [1, 3])]
    lab.running[0].end()
    queue.step(0)
    assert lab.ended[1:] == [(cohort("a", [1, 3]), TRAINED)]
    assert (queue.progress.done, queue.idle) == (4, False)


def test_after_a_second_death_the_missing_seeds_fail() -> None:
    lab = Lab()
    queue = start(lab, cohort("a", 4), cohort("b"))
    lab.running[0].end(BrokenExecutor(), kept=[0])
    queue.step(0)
    queue.step(0)
    lab.running[0].end(BrokenExecutor(), kept=[0, 1])
    queue.step(0)
    assert lab.ended == [(cohort("a", [0]), TRAINED), (cohort("a", [1]), TRAINED), (cohort("a", [2, 3]), DIED)]
    queue.step(0)
    lab.running[0].end(BrokenExecutor())
    queue.step(0)
    assert not queue.idle, "the other cohort has its own attempts"


def test_a_cohort_is_tried_as_often_as_the_executor_allows() -> None:
    lab = Lab()
    lab.attempts = 4
    queue = start(lab, cohort("a"))
    for _ in range(4):
        assert queue.progress.done == 0
        lab.running[0].end(BrokenExecutor())
        queue.step(0)
        queue.step(0)
    reason = "the process that trained it died 4 times, perhaps because it ran out of memory"
    assert lab.ended == [(cohort("a"), Result("failed", reason))]
    assert len(lab.sent) == 4


def test_a_death_after_the_last_seed_was_saved_is_not_a_failure() -> None:
    lab = Lab()
    queue = start(lab, cohort("a", 2))
    lab.running[0].end(BrokenExecutor(), kept=[0, 1])
    queue.step(0)
    assert lab.ended == [(cohort("a", 2), TRAINED)]
    assert queue.idle


@pytest.mark.parametrize("result", [FAILED, Result("unloadable", "no module", "Traceback")])
def test_a_failed_cohort_is_not_repeated_and_its_saved_seeds_count(result: Result) -> None:
    lab = Lab()
    queue = start(lab, cohort("a", 3))
    lab.running[0].end(result, kept=[0])
    queue.step(0)
    assert lab.ended == [(cohort("a", [0]), TRAINED), (cohort("a", [1, 2]), result)]
    assert queue.idle


def test_an_error_of_the_executor_fails_one_cohort() -> None:
    lab = Lab(2)
    queue = start(lab, cohort("a"), cohort("b"))
    lab.running[0].end(OSError("the cluster is gone"))
    lab.running[0].end()
    queue.step(0)
    results = {c.training.digest: result for c, result in lab.ended}
    assert (results["a"].kind, results["a"].reason) == ("failed", "OSError: the cluster is gone")
    assert "Traceback" in results["a"].details
    assert results["b"] == TRAINED


# --- progress -----------------------------------------------------------------------------------------------


def test_progress_shows_the_running_cohorts_and_the_fraction_done() -> None:
    lab = Lab(2)
    queue = TrainingQueue(lab, lab, ended=lab.note)
    assert queue.progress == Progress(done=0, total=0, share=1.0, remaining=None, current=())
    assert queue.idle
    queue.add([cohort("a", 4), cohort("b", 4)])
    assert not queue.idle
    queue.step(0)
    current = ("Net on a, 4 seeds", "Net on b, 4 seeds")
    assert queue.progress == Progress(done=0, total=8, share=0.0, remaining=None, current=current)
    lab.running[0].done, lab.running[1].done = 0.5, 0.25
    queue.step(0)
    assert queue.progress.share == pytest.approx(0.375)
    assert queue.progress.remaining is not None
    assert queue.progress.remaining >= 0
    lab.running[0].end()
    queue.step(0)
    assert queue.progress.current == current[1:]
    assert (queue.progress.done, queue.progress.share) == (4, pytest.approx(0.625))


def test_run_reports_until_all_cohorts_have_ended() -> None:
    lab = Lab(2, meanwhile=lambda job: job.end())
    queue = TrainingQueue(lab, lab, ended=lab.note)
    queue.add([cohort("a", 4), cohort("b"), cohort("c")])
    seen: list[Progress] = []
    queue.run(seen.append)
    assert len(lab.outcomes()) == seen[-1].done == seen[-1].total == 6
    assert queue.idle
    queue.run(seen.append)
    assert seen[-1].done == 6, "without new cohorts, nothing is trained"


# --- other threads ------------------------------------------------------------------------------------------


def test_a_waiting_turn_takes_the_cohorts_that_another_thread_adds() -> None:
    waits = threading.Event()

    class Inbox(SimpleQueue[Cohort | None]):
        """A queue that signals when a thread waits for it."""

        def get(self, *args: Any, **kwargs: Any) -> Cohort | None:
            waits.set()
            return super().get(*args, **kwargs)

    lab = Lab()
    queue = TrainingQueue(lab, lab, ended=lab.note)
    queue._inbox = Inbox()
    adding = threading.Thread(target=lambda: waits.wait(PATIENCE) and queue.add([cohort("a")]))
    adding.start()
    assert not queue.step(PATIENCE)
    adding.join()
    assert queue.progress.total == 0
    queue.step(0)
    assert lab.sent == [cohort("a")]


def test_cohorts_that_many_threads_add_each_end_once() -> None:
    lab = Lab(3, meanwhile=lambda job: threading.Timer(0.001, job.end).start())
    queue = TrainingQueue(lab, lab, ended=lab.note)
    adding = [
        threading.Thread(target=lambda n=n: [queue.add([cohort(f"{n}-{i}", i % 4 + 1)]) for i in range(20)])
        for n in range(4)
    ]
    for thread in adding:
        thread.start()
    while not queue.idle or any(thread.is_alive() for thread in adding):
        queue.step(0.01)
    assert len(lab.outcomes()) == queue.progress.total == 4 * 5 * (1 + 2 + 3 + 4)
    assert set(lab.outcomes().values()) == {TRAINED}


# --- whatever happens ---------------------------------------------------------------------------------------

SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 500)), min_size=1, max_size=3)
EVENTS = st.one_of(
    st.tuples(st.just("add"), SIZES),
    st.tuples(st.sampled_from(["train", "fail", "die", "go on"]), st.tuples(st.integers(0, 99), st.floats(0, 1))),
    st.tuples(st.just("turn"), st.none()),
)


@given(slots=st.integers(1, 5), events=st.lists(EVENTS, max_size=40), known=st.floats(0, 10))
def test_every_run_ends_once_whatever_happens(slots: int, events: list[tuple[str, object]], known: float) -> None:
    lab = Lab(slots)
    queue = TrainingQueue(lab, lab, seconds={"0": known, "3": 5.0}, ended=lab.note)
    added: list[Cohort] = []
    deaths: Counter[tuple[str, int]] = Counter()
    failed: set[tuple[str, int]] = set()
    is_steady = True  # no cohort was added and no process died since the last turn

    def step() -> None:
        nonlocal is_steady
        before = queue.progress
        queue.step(0)
        now = queue.progress
        assert now.done >= before.done
        assert now.share >= before.share - 1e-9 or not is_steady
        assert 0 <= now.share <= 1 + 1e-9
        assert now.done == len(lab.outcomes())
        assert now.remaining is None or (math.isfinite(now.remaining) and now.remaining > -1e-9)
        assert queue.idle == (now.done == sum(len(c.seeds) for c in added))
        is_steady = True

    def end(job: Job, how: str, share: float) -> None:
        nonlocal is_steady
        kept = job.cohort.seeds[: int(share * len(job.cohort.seeds))]
        lost = {(job.cohort.training.digest, s) for s in job.cohort.seeds[len(kept) :]}
        if how == "die":
            is_steady = False
            deaths.update(lost)
            job.end(BrokenExecutor(), kept)
        elif how == "fail":
            failed.update(lost)
            job.end(FAILED, kept)
        else:
            job.end()

    for what, how in events:
        if what == "add":
            new = [cohort(str(len(added) + i), seeds, steps) for i, (seeds, steps) in enumerate(how)]  # type: ignore
            added += new
            queue.add(new)
            is_steady = False
        elif what == "turn":
            step()
        elif lab.running:
            at, share = how  # type: ignore
            job = lab.running[at % len(lab.running)]
            if what == "go on":
                job.done += (1 - job.done) * share
            else:
                end(job, what, share)
    while not queue.idle:
        step()
        for job in list(lab.running):
            end(job, "train", 1.0)
    assert queue.progress.done == queue.progress.total == sum(len(c.seeds) for c in added)
    assert queue.progress.current == ()
    assert lab.running == []
    expected = {
        run: DIED if deaths[run] == 2 else FAILED if run in failed else TRAINED for c in added for run in c.runs
    }
    assert lab.outcomes() == expected
    assert {run for run, result in expected.items() if result == TRAINED} == lab.kept
    assert not added or max(deaths.values(), default=0) <= 2
