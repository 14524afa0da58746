"""Aggregation, on the controller: opens the seeds of a claim look by look, has their models trained, gathers the
observations, and emits the verdicts.

A verdict is a test report of its own, ``…::test_x[verdict]``, emitted as soon as the claim is decided, and for claims
that are cut short at the end of the run; so the exit code, JUnit, pytest-html and ``-r`` all see it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.accepted import load_accepted
from memkit.evidence.curves import gathered
from memkit.evidence.evidence_file import ClaimEvidence, Evidence
from memkit.evidence.outputs import check_writable, write_all
from memkit.evidence.registration import DEVELOPMENT_SEEDS
from memkit.evidence.schema_1 import is_digest_of
from memkit.pytest_plugin import terminal
from memkit.pytest_plugin.arguments import check_foreign
from memkit.pytest_plugin.claim_run import ClaimRun, Try
from memkit.pytest_plugin.exchange_folder import remove_left
from memkit.pytest_plugin.interruption import print_nowhere_if_unread
from memkit.pytest_plugin.measurement import PROPERTY, Measurement
from memkit.pytest_plugin.messages import Run, messages_of
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.provenance import provenance
from memkit.pytest_plugin.settings import Settings
from memkit.pytest_plugin.training_thread import TrainingThread
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.estimates import seconds_per_seed
from memkit.scheduling.executor import Executor, LocalExecutor, Result
from memkit.scheduling.queue import TrainingQueue


class Aggregator:
    """Carries out the plan of the run, and holds what came in.

    Args:
        scheduler: the xdist scheduler that hands out items look by look, or None.
        adaptive: whether items come in the order of the looks, so that each claim may stop at its verdict.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, plan: RunPlan, scheduler: Any = None, *, adaptive: bool = True
    ) -> None:
        self.config = config
        self.settings = settings
        self.plan = plan
        self.scheduler = scheduler
        self.adaptive = adaptive and plan.ordered
        self.messages = messages_of(config)
        self.line = terminal.ProgressLine(config)
        self.thread: TrainingThread | None = None
        self.queued: set[Run] = set()
        self.running: dict[str, ClaimRun] = {}
        self.accepted: dict[str, Any] = {}
        self.claims: dict[str, ClaimEvidence] = {}
        self.curves: list[tuple[str, int, Mapping[str, Mapping[str, Any]]]] = []
        self.nodes: dict[str, tuple[str, int]] = {}
        self.written: list[Path] = []
        self.problems: list[str] = []

    # --- the plan ---------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Judge what came in, and write the evidence."""
        self._see_who_reads()
        self.messages.close("the run was stopped")
        if self.thread is not None:
            self.thread.end()
        for run in list(self.running.values()):
            self._conclude(run)
        for absent in self.plan.absent:  # not before the first item: pytest would run nothing after a failure
            self._report(terminal.absent_reports(absent))
        self.line.clear()
        self._write()
        if self.thread is not None and self.thread.error is not None:
            raise self.thread.error

    def _see_who_reads(self) -> None:
        """Print nowhere if standard output was closed by its reader, so that printing cannot cost the evidence."""
        print_nowhere_if_unread(
            self.config, f"standard output was closed; what was measured is in {self.settings.evidence}"
        )

    def begin(self) -> None:
        """Open the seeds of the first looks, and train what they need."""
        plan = self.plan
        remove_left()
        with self.settings.refusing():
            check_foreign(self.config)
            check_writable(Path(self.settings.evidence))
            self.accepted = load_accepted(self.settings.accepted)
            if self.settings.gate == "drift" and not self.accepted:
                raise MemkitError(
                    "--memkit-gate drift: there is no reports/accepted.json; `memkit accept` keeps a run's verdicts"
                )
            executor = self._executor(plan)
        if self.settings.gate == "drift":
            digests = {name: claim["digest"] for name, claim in self.accepted.items()}
            new = [p.claim.id for p in plan.claims if not is_digest_of(p.claim, digests.get(p.claim.id, ""))]
            if new:
                more = f" and {len(new) - 1} more" if len(new) > 1 else ""
                self.problems.append(f"drift: {new[0]}{more} had no accepted verdict to be held against")
        for planned in plan.claims:
            # All of them, or it would look as if somebody had picked those whose measurements are in the store.
            skipped = dict.fromkeys(planned.selected, planned.missing) if planned.missing else {}
            self.running[planned.claim.id] = ClaimRun(planned, skipped=skipped)
            self.nodes |= {f"{planned.nodeid}[{seed}]": (planned.claim.id, seed) for seed in planned.planned}
        store = self.settings.store_of_run
        seconds = seconds_per_seed(plan.trainings.values(), store, self.settings.accepted)
        queue = TrainingQueue(executor, store, seconds=seconds, ended=self._trained)
        self.thread = TrainingThread(queue, self.messages, self._tick)
        first = [(run, run.next_seeds(adaptive=self.adaptive)) for run in self.running.values()]
        cohorts = self._cohorts(first)
        terminal.announce(self.config, plan, cohorts, seconds, self.settings, adaptive=self.adaptive)
        for planned in plan.claims:
            if planned.missing:  # its items need not wait
                self.messages.settle(planned.claim.id, planned.missing)
        self.problems += terminal.skipped_for_data(plan)
        self._open(first, cohorts)
        self.thread.start()

    def _executor(self, plan: RunPlan) -> Executor:
        if self.settings.executor != "ray" or not plan.trainings:
            return LocalExecutor(self._workers(), device=self.settings.device, files=plan.files)
        from memkit.scheduling.ray_executor import RayExecutor

        least = min(training.gpus for training in plan.trainings.values())
        return RayExecutor(self.settings.ray_address, device=self.settings.device, files=plan.files, gpus=least)

    def _workers(self) -> int:
        """As many training processes as test workers, or one a core without xdist."""
        tx = getattr(self.config.option, "tx", None) or []
        return len(tx)

    # --- training ---------------------------------------------------------------------------------------------

    def _cohorts(self, openings: Iterable[tuple[ClaimRun, Iterable[int]]]) -> list[Cohort]:
        """What these seeds need trained, and nobody has been asked to train yet."""
        wanted = [(run.planned, seeds) for run, seeds in openings]
        cohorts = self.plan.cohorts(wanted, self.settings.store_of_run, fresh=self.settings.fresh)
        asked = (
            replace(c, seeds=tuple(s for s in c.seeds if (c.training.digest, s) not in self.queued)) for c in cohorts
        )
        return [cohort for cohort in asked if cohort.seeds]

    def _open(self, openings: Sequence[tuple[ClaimRun, Sequence[int]]], cohorts: Sequence[Cohort]) -> None:
        """Let seeds be measured, once their models are trained."""
        assert self.thread is not None
        if self.settings.executor == "inline":  # a test that finds its model missing trains it
            cohorts = ()
        for run, seeds in openings:
            run.opened |= set(seeds)
            run.waiting |= set(seeds)
            self.messages.open(run.planned.claim.id, seeds, cohorts)
            self.queued.update(*(cohort.runs for cohort in cohorts))
            # Posted before it is begun with, or it might end there before it is known to be pending.
            self.thread.queue.add(cohorts)
            cohorts = ()

    def _trained(self, cohort: Cohort, result: Result) -> None:
        self.messages.trained(cohort, result)
        if result.kind == "failed":
            self.problems.append(f"training failed: {cohort}: {result.reason}")
        elif result.kind == "unloadable":
            self.problems.append(f"trained in their tests, one by one: {cohort}: {result.reason}")

    def _tick(self) -> None:
        """In the training thread: show how far it is, and see that nobody waits for what will not come."""
        assert self.thread is not None
        session: Any = self.config.pluginmanager.get_plugin("dsession")
        if session is not None:  # without workers the main thread prints, while it waits; tests' output is captured
            self.line.show(self.thread.queue)
            # Items are left, and the workers that died have not been replaced.
            scheduler = self.scheduler
            stranded = scheduler is not None and scheduler.left and (session.shuttingdown or scheduler.differs)
            if (session.shouldstop or stranded) and not self.messages.closed:
                self.messages.closed = "the run was stopped"
                self.messages.close(self.messages.closed)

    def meanwhile(self) -> None:
        """While an item waits for its turn in this process."""
        if self.thread is not None:
            self.line.show(self.thread.queue)

    # --- what comes in ----------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None, object, object]:
        with self.line.lock:
            self.line.clear()
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        with self.line.lock:
            self.line.clear()
            result = yield
            claim_id, seed = self._node(report.nodeid)
            run = self.running.get(claim_id)
            stopped = bool(self.messages.closed) and report.skipped  # it was sent home, which says nothing about it
            if run is not None and seed in run.waiting and not stopped:
                self._take(run, seed, report)
                # What xdist reports for a test whose worker died, and nothing after it.
                if str(report.when) == "???":
                    self._end(run, seed)
            return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> Generator[None, object, object]:
        with self.line.lock:
            self.line.clear()
            result = yield
            claim_id, seed = self._node(nodeid)
            run = self.running.get(claim_id)
            if run is not None and run.planned.missing:  # the first of its items has gone home
                self._conclude(run)
            elif run is not None and seed in run.tries:
                self._end(run, seed)
            return result

    def _node(self, nodeid: str) -> tuple[str, int]:
        """The claim and seed of a node id; ("", 0) for other tests."""
        # `--dist loadgroup` appends the group to the node id.
        return self.nodes.get(nodeid[: nodeid.rfind("]") + 1], ("", 0))

    def _take(self, run: ClaimRun, seed: int, report: pytest.TestReport) -> None:
        last = run.tries.setdefault(seed, Try())
        if report.when == "setup" and not last.sound:  # only then; with --dist each, tries overlap
            last = run.tries[seed] = Try()
        last.sound = last.sound and report.passed
        if report.failed:
            last.failure = last.failure or _reason(report)
        elif report.skipped and report.when == "teardown":
            last.failure = last.failure or f"its teardown was {_skip_reason(report)}"
        elif report.skipped:
            # A subtest that is skipped is a matter of the test.
            last.skipped = last.skipped if hasattr(report, "context") else _skip_reason(report)
        elif report.when == "call" and report.passed:
            properties = dict(report.user_properties)
            if PROPERTY in properties:
                last.measurement = Measurement.from_json(json.loads(str(properties[PROPERTY])))

    def _end(self, run: ClaimRun, seed: int) -> None:
        run.end(seed)
        measurement = run.measurements.get(seed)
        if measurement is not None and measurement.arms:
            self.curves.append((measurement.claim, seed, measurement.arms))
        if not run.waiting:
            self._advance(run)

    def _advance(self, run: ClaimRun) -> None:
        """All seeds that were opened are in: open those of the next look, or come to the verdict."""
        try:
            seeds = run.next_seeds(adaptive=self.adaptive)
        except Exception:  # it cannot be judged, as the verdict will say
            seeds = []
        if seeds and not self.messages.closed:
            openings = [(run, seeds)]
            self._open(openings, self._cohorts(openings))
        else:
            self._conclude(run)

    def _conclude(self, run: ClaimRun) -> None:
        """Judge a claim, and emit its verdict as a test report."""
        planned = run.planned
        claim_id, accepted = planned.claim.id, self.accepted.get(planned.claim.id)
        del self.running[claim_id]
        try:
            entry = run.evidence(mode=self.settings.gate, strict=self.settings.strict, accepted=accepted)
        except Exception as error:  # one claim that cannot be judged must not take the others' verdicts with it
            run.failures = dict.fromkeys(planned.selected, f"the claim could not be judged: {error}")
            entry = run.evidence(mode=self.settings.gate)
        self.claims[claim_id] = entry
        if set(planned.selected) - run.opened:
            self.messages.settle(claim_id, run.settled(entry.judgement))
        self._report(terminal.verdict_reports(entry, planned.location))

    def _report(self, reports: Iterable[pytest.TestReport]) -> None:
        """Emit the reports of a test that was not collected."""
        session: Any = self.config.pluginmanager.get_plugin("session")
        if session is not None:
            session.testscollected += 1  # or the terminal counts beyond 100 %
        for report in reports:
            try:
                self.config.hook.pytest_runtest_logreport(report=report)
            except OSError:  # it could not be printed, and pytest may not have counted it
                self._see_who_reads()
                if report.failed and session is not None:
                    session.testsfailed += 1

    def unneeded(self, report: pytest.TestReport) -> bool:
        """Whether a report is that of a seed that was skipped, its claim having been settled without it."""
        claim_id, seed = self._node(report.nodeid)
        entry = self.claims.get(claim_id)
        return report.skipped and entry is not None and seed not in (*entry.seen, *entry.failures)

    # --- what goes out ----------------------------------------------------------------------------------------

    def _write(self) -> None:
        # A run that was refused, or that measured nothing, leaves the evidence of the last one alone.
        if not any(e.observations or e.failures for e in self.claims.values()) or self.settings.refused():
            return
        evidence = Evidence(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=provenance(self.config, self.settings, self.plan),
            claims=tuple(self.in_order()),
            studies=self.plan.studies,
            metrics=self.plan.metrics,
            curves=gathered(self.curves),
        )
        try:
            self.written, problems = write_all(evidence, Path(self.settings.evidence))
            self.problems += problems
        except OSError as error:  # the disk is full, say
            self.settings.refuse(f"the evidence could not be written to {self.settings.evidence} ({error.strerror})")

    def in_order(self) -> list[ClaimEvidence]:
        """The claims as they stand in the suite."""
        return [self.claims[p.claim.id] for p in self.plan.claims if p.claim.id in self.claims]

    @pytest.hookimpl(trylast=True)  # after pytest has noted what failed
    def pytest_sessionfinish(self) -> None:
        """For ``--lf``: a verdict is no item that could run again, so note the seeds of those that failed."""
        cache = getattr(self.config, "cache", None)
        if cache is None:
            return
        noted = dict(cache.get("cache/lastfailed", {}))
        before = dict(noted)
        for entry in self.claims.values():
            # Also those that it would have once it is edited, or that edit would make --lf run everything.
            elsewhere = {f"{entry.nodeid}[{seed}]": True for seed in DEVELOPMENT_SEEDS[: len(entry.planned)]}
            if entry.gate.outcome == "failed":
                noted |= {**elsewhere, **{f"{entry.nodeid}[{seed}]": True for seed in entry.planned}}
            elif not entry.registration.development:
                noted = {name: value for name, value in noted.items() if name not in elsewhere}
        if noted != before:
            cache.set("cache/lastfailed", noted)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.claims:
            terminal.summarise(terminalreporter, self.in_order(), self.written, self.problems)


def _reason(report: pytest.TestReport) -> str:
    """Why a seed failed, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = _as_text(crash.message if crash is not None else str(report.longrepr))
    lines = [line for line in text.splitlines() if line.strip()]
    # pytest.fail() is an exception called Failed, of which its sentence says enough.
    return lines[0].strip().removeprefix("Failed: ") if lines else "no reason was given"


def _skip_reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"xfail: {_as_text(str(report.wasxfail))}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped: {_as_text(reason).removeprefix('Skipped: ')}"


def _as_text(said: str) -> str:
    """A name that is no text may stand in what was said."""
    return said.encode("utf-8", "backslashreplace").decode("utf-8")
