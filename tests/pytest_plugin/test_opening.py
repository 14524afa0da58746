"""The opening, training and judging of looks as reports arrive; these tests run no items and train no models."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest

from memkit import Contrast, claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.lock_file import Lock
from memkit.pytest_plugin.claim_run import ClaimRun
from memkit.pytest_plugin.looks import Looks
from memkit.pytest_plugin.measurement import Measurement
from memkit.pytest_plugin.messages import Messages, messages_of
from memkit.pytest_plugin.plan import PlannedClaim, RunPlan
from memkit.pytest_plugin.progress_line import ProgressLine
from memkit.pytest_plugin.reports_to_verdicts import Verdicts
from memkit.pytest_plugin.settings import settings_of
from memkit.scheduling.cohorts import Cohort, Training
from memkit.scheduling.executor import Result
from memkit.store.store import Store
from tests.machines.clocks import until

NET = Training("net", {}, "net", 10)
FIRST = tuple(range(10000, 10008))
SEEDS = tuple(range(10000, 10032))


@dataclass(eq=False)
class Job:
    result: Future[Result] = field(default_factory=Future)

    def fraction_done(self) -> float:
        return 0.0


@dataclass
class Nowhere:
    """An executor whose training ends at once, in a given way."""

    ends: Result
    given: list[Cohort] = field(default_factory=list)
    slots: int = 1
    attempts: int = 1

    def submit(self, cohort: Cohort, store: Store) -> Job:
        self.given.append(cohort)
        job = Job()
        job.result.set_result(self.ends)
        return job

    def close(self) -> None:
        pass


def planned(name: str, *, missing: str = "") -> PlannedClaim:
    @claim(
        f"lab/{name}",
        "A statement.",
        arms=("treatment", "control"),
        contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))],
        deterministic=True,
    )
    def test_it(seed: int) -> None:
        """Is never called."""

    made = claim_of(test_it)
    assert made is not None
    return PlannedClaim(
        claim=made,
        nodeid=f"test_lab.py::test_{name}",
        location=("test_lab.py", 1, f"test_{name}"),
        registration=Lock().register([made]).registration(made),
        planned=SEEDS,
        selected=SEEDS,
        key="0" * 64,
        code="",
        recipes=() if missing else (NET.digest,),
        missing=missing,
    )


class Course:
    """Return the parts of a run of these claims."""

    def __init__(self, config: pytest.Config, *claims: PlannedClaim, ends: Result) -> None:
        plan = RunPlan(claims=claims, trainings={NET.digest: NET}, files={}, ordered=True, studies={}, metrics={})
        settings = settings_of(config)
        self.messages: Messages = messages_of(config)
        self.verdicts = Verdicts(plan, settings)
        self.looks = Looks(config, settings, plan, ProgressLine(config), adaptive=True)
        self.executor = Nowhere(ends)
        self.verdicts.begin({})
        self.looks.begin(self.verdicts.running, self.executor)

    def end(self) -> None:
        """Wait until everything that was requested is trained."""
        until(lambda: not self.messages.pending_runs or self.looks.error is not None)
        self.looks.end()

    def report(self, claim: PlannedClaim, seed: int, treatment: float) -> ClaimRun | None:
        """Return the report that xdist would give for an item that passes."""
        nodeid = f"{claim.nodeid}[{seed}]"
        measured = Measurement.of(claim.claim, seed, {"treatment": treatment, "control": 0.1}, arms={})
        for when in ("setup", "call", "teardown"):
            report = pytest.TestReport(nodeid, claim.location, {}, "passed", None, when)  # type: ignore[arg-type]
            report.user_properties = [measured.to_property()] if when == "call" else []
            assert self.verdicts.add_report(report) is None
        return self.verdicts.finish_item(nodeid)


@pytest.fixture
def config(pytester: pytest.Pytester) -> pytest.Config:
    return pytester.parseconfig("-n0")


def test_runs_that_claims_share_are_trained_once(config: pytest.Config) -> None:
    course = Course(config, planned("one"), planned("two"), ends=Result("trained"))
    course.end()
    assert [seed for cohort in course.executor.given for seed in cohort.seeds] == list(FIRST)
    assert course.messages.open_seeds == {"lab/one": set(FIRST), "lab/two": set(FIRST)}
    assert course.looks.problems == []


def test_failed_training_is_reported_to_the_items_and_at_the_end(config: pytest.Config) -> None:
    course = Course(config, planned("one"), ends=Result("failed", "ValueError: too large"))
    course.end()
    assert course.messages.training_errors == {(NET.digest, seed): "ValueError: too large" for seed in FIRST}
    assert {problem.rpartition(": ")[2] for problem in course.looks.problems} == {"too large"}


def test_a_claim_whose_data_are_missing_is_settled_before_it_begins(config: pytest.Config) -> None:
    missing = planned("one", missing="get the data")
    course = Course(config, missing, ends=Result("trained"))
    course.end()
    assert course.messages.settled == {"lab/one": "get the data"}
    assert not course.executor.given
    run = course.verdicts.finish_item(f"{missing.nodeid}[{SEEDS[0]}]")
    assert run is not None
    assert course.verdicts.judge(run).gate.outcome == "skipped"


def test_the_last_report_of_a_look_opens_the_next_one_or_settles_the_claim(config: pytest.Config) -> None:
    clear, open_ = planned("clear"), planned("open")
    course = Course(config, clear, open_, ends=Result("trained"))
    *most, last = FIRST
    for name, treatment in (clear, (0.9, 0.9)), (open_, (0.0, 0.2)):
        assert [course.report(name, seed, treatment[seed % 2]) for seed in most] == [None] * 7
        run = course.report(name, last, treatment[last % 2])
        assert run is not None
        if not course.looks.open_next(run):
            course.looks.settle(run, course.verdicts.judge(run).judgement)
    course.end()
    assert course.messages.settled == {"lab/clear": "decided at n = 8"}
    assert course.messages.open_seeds["lab/open"] > set(FIRST)
    assert [run.planned for run in course.verdicts.running] == [open_]
    assert [entry.claim.id for entry in course.verdicts.in_order()] == ["lab/clear"]


def test_no_look_is_opened_once_the_run_is_stopped(config: pytest.Config) -> None:
    one = planned("one")
    course = Course(config, one, ends=Result("trained"))
    course.end()
    runs = [course.report(one, seed, (0.0, 0.2)[seed % 2]) for seed in FIRST]
    assert course.looks.closed
    assert runs[-1] is not None
    assert not course.looks.open_next(runs[-1])
