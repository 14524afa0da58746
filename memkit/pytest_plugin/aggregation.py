"""Aggregation, on the controller: trains what is missing, gathers the observations, and emits the verdicts.

A verdict is a test report of its own, ``…::test_x[verdict]``, emitted when the last seed of its claim is in, and for
claims that are cut short at the end of the run; so the exit code, JUnit, pytest-html and ``-r`` all see it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.evidence import ClaimEvidence, Evidence
from memkit.evidence.files import check_writable, write_all
from memkit.evidence.gate import Gate, gate
from memkit.evidence.verdict import judge
from memkit.pytest_plugin import terminal
from memkit.pytest_plugin.collection import PLAN, PlannedClaim, RunPlan
from memkit.pytest_plugin.measuring import PROPERTY, Measurement
from memkit.pytest_plugin.settings import Settings


class Aggregator:
    """Holds the plan of the run and what came in."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.plan: RunPlan | None = None
        self.measurements: dict[str, dict[int, Measurement]] = {}
        self.failures: dict[str, dict[int, str]] = {}
        self.skipped: dict[str, dict[int, str]] = {}
        self.waiting: dict[str, set[int]] = {}
        self.claims: dict[str, ClaimEvidence] = {}
        self.nodes: dict[str, tuple[PlannedClaim, int]] = {}
        self.written: list[Path] = []
        self.problems: list[str] = []
        self.training_failed: list[str] = []

    # --- the plan ---------------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: hand the settings to a worker."""
        node.workerinput["memkit"] = self.settings.to_worker()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Any) -> None:
        """xdist: the first worker that has collected knows the plan; train before any item goes out."""
        if self.plan is None:
            file = Path(self.settings.exchange) / f"plan-{node.workerinput['workerid']}.json"
            if file.is_file():
                data = json.loads(file.read_text(encoding="utf-8"))
                sys.path.extend(path for path in data["path"] if path not in sys.path)
                self._begin(RunPlan.from_json(data))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        """xdist: a worker that refused bad input has left its sentence."""
        if message := self.settings.refused():
            raise pytest.UsageError(message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        option = self.config.option
        stopped = session.testsfailed and not option.continue_on_collection_errors
        try:
            if PLAN in self.config.stash and not option.collectonly and not stopped:
                self._begin(self.config.stash[PLAN])
            return (yield)
        finally:
            # -x, --maxfail and Ctrl-C leave the loop by an exception: what came in still gets its verdict.
            for claim_id in list(self.waiting):
                self._conclude(claim_id)
            self._write()

    def _begin(self, plan: RunPlan) -> None:
        with self.settings.refusing():
            check_writable(Path(self.settings.evidence))
        self.plan = plan
        for planned in plan.claims:
            self.waiting[planned.claim.id] = set(planned.selected)
            for seed in planned.planned:
                self.nodes[f"{planned.nodeid}[{seed}]"] = (planned, seed)
        terminal.announce(self.config, plan, self.settings)
        if plan.cohorts:
            from memkit.training.executor import LocalExecutor

            executor = LocalExecutor(workers=self._workers(), device=self.settings.device, files=plan.files)
            with terminal.ProgressLine(self.config) as line:
                executor.train(plan.cohorts, self.settings.open_store(), line.update)
            self.training_failed = line.errors

    def _workers(self) -> int:
        """As many training processes as test workers, or one a core without xdist."""
        tx = getattr(self.config.option, "tx", None) or []
        return len(tx)

    # --- what comes in ----------------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # `--dist loadgroup` appends the group to the node id.
        found = self.nodes.get(report.nodeid[: report.nodeid.rfind("]") + 1])
        if found is None:
            return
        planned, seed = found
        claim_id = planned.claim.id
        if report.failed:
            self.failures.setdefault(claim_id, {}).setdefault(seed, _reason(report))
            self.measurements.get(claim_id, {}).pop(seed, None)
        elif report.skipped:
            self.skipped.setdefault(claim_id, {})[seed] = _skip_reason(report)
        elif report.when == "call" and report.passed:
            properties = dict(report.user_properties)
            if PROPERTY in properties:
                data = json.loads(str(properties[PROPERTY]))
                self.measurements.setdefault(claim_id, {})[seed] = Measurement.from_json(data)
        # "???" is what xdist reports for a test whose worker died.
        if report.when in ("teardown", "???") and claim_id in self.waiting:
            self.waiting[claim_id].discard(seed)
            if not self.waiting[claim_id]:
                self._conclude(claim_id)

    def _conclude(self, claim_id: str) -> None:
        """Judge a claim, and emit its verdict as a test report."""
        del self.waiting[claim_id]
        assert self.plan is not None
        planned = next(p for p in self.plan.claims if p.claim.id == claim_id)
        try:
            entry = self._evidence(planned)
        except Exception as error:  # one claim that cannot be judged must not take the others' verdicts with it
            everything = dict.fromkeys(planned.selected, f"the claim could not be judged: {error}")
            self.failures[claim_id] = everything
            entry = self._evidence(planned)
        self.claims[claim_id] = entry
        session: Any = self.config.pluginmanager.get_plugin("session")
        if session is not None:
            session.testscollected += 1  # or the terminal counts beyond 100 %
        for report in terminal.verdict_reports(entry, planned.location):
            self.config.hook.pytest_runtest_logreport(report=report)

    def _evidence(self, planned: PlannedClaim) -> ClaimEvidence:
        claim = planned.claim
        measured = self.measurements.get(claim.id, {})
        failures = dict(self.failures.get(claim.id, {}))
        skipped = self.skipped.get(claim.id, {})
        # A claim may be skipped whole, where its data are missing, say; but nobody picks its seeds.
        whole = set(skipped) >= set(planned.selected)
        if not whole:
            failures |= skipped
        observations = tuple(
            o for seed in planned.planned if seed in measured and seed not in failures
            for o in measured[seed].observations
        )  # fmt: skip
        registration = planned.registration
        judgement = judge(claim, observations, planned=planned.planned, development=registration.development)
        used = [measured[seed] for seed in planned.planned if seed in measured and seed not in failures]
        result = gate(
            claim,
            judgement,
            registration=registration,
            failures=failures,
            enabled=self.settings.gate == "verdict",
        )
        if whole and not failures:
            result = Gate("skipped", f"INCOMPLETE: {next(iter(skipped.values()))}")
        return ClaimEvidence(
            claim=claim,
            nodeid=planned.nodeid,
            registration=registration,
            planned=planned.planned,
            observations=observations,
            judgement=judgement,
            gate=result,
            failures=failures,
            arms=_arms(used),
            cost=_cost(used),
        )

    # --- what goes out ----------------------------------------------------------------------------------------

    def _write(self) -> None:
        # A run that was refused, or that measured nothing, leaves the evidence of the last one alone.
        if not (self.claims and (self.measurements or self.failures)) or self.settings.refused():
            return
        evidence = Evidence(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            provenance=provenance(self.config, self.settings),
            claims=tuple(self.in_order()),
        )
        try:
            self.written, self.problems = write_all(evidence, Path(self.settings.evidence))
        except OSError as error:  # the disk is full, say
            self.settings.refuse(f"the evidence could not be written to {self.settings.evidence} ({error.strerror})")

    def in_order(self) -> list[ClaimEvidence]:
        """What is judged so far: by study, its headline claims first, else as they stand in the files."""
        order = [planned.claim.id for planned in self.plan.claims] if self.plan else []
        entries = [self.claims[claim_id] for claim_id in order if claim_id in self.claims]
        studies = list(dict.fromkeys(entry.claim.study for entry in entries))
        return sorted(entries, key=lambda entry: (studies.index(entry.claim.study), not entry.claim.headline))

    @pytest.hookimpl(trylast=True)  # after pytest has noted what failed
    def pytest_sessionfinish(self) -> None:
        """For ``--lf``: a verdict is no item that could run again, so note the seeds of those that failed."""
        cache = getattr(self.config, "cache", None)
        failed = [entry for entry in self.claims.values() if entry.gate.outcome == "failed"]
        if cache is not None and failed:
            noted = dict(cache.get("cache/lastfailed", {}))
            noted |= {f"{entry.nodeid}[{seed}]": True for entry in failed for seed in entry.planned}
            cache.set("cache/lastfailed", noted)

    def pytest_unconfigure(self) -> None:
        """Remove what the workers left."""
        self.settings.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.claims and self.plan is not None:
            terminal.summarise(terminalreporter, self.in_order(), self.written, [*self.training_failed, *self.problems])


def _reason(report: pytest.TestReport) -> str:
    """Why a seed failed, in one line."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # a name that is no text may stand in it
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0].strip() if lines else "no reason was given"


def _skip_reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"xfail: {report.wasxfail}"
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped: {reason.removeprefix('Skipped: ')}"


def _arms(measurements: list[Measurement]) -> dict[str, dict[str, Any]]:
    arms: dict[str, dict[str, Any]] = {}
    for measurement in measurements:
        for name, arm in measurement.arms.items():
            entry = arms.setdefault(
                name,
                {
                    "digest": arm["digest"],
                    "parameters": arm["parameters"],
                    "steps": arm["steps"],
                    "diverged": 0,
                },
            )
            entry["diverged"] += bool(arm["diverged"])
    return arms


def _cost(measurements: list[Measurement]) -> dict[str, float]:
    training = sum(arm["cpu_seconds"] for m in measurements for arm in m.arms.values())
    return {
        "trained": round(training, 1),
        "measured": round(sum(m.cpu_seconds for m in measurements), 1),
        "reused": round(sum(m.reused for m in measurements) / max(1, len(measurements)), 3),
    }


def provenance(config: pytest.Config, settings: Settings) -> dict[str, Any]:
    """Where and how the evidence was made."""
    import hashlib
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str] = {"memkit": version("memkit-claims"), "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch", "pytest"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    lock = Path(settings.lock)
    commit = _git(config.rootpath, "rev-parse", "HEAD")
    changes = _git(config.rootpath, "status", "--porcelain")
    return {
        **versions,
        "platform": platform.platform(),
        "device": settings.device,
        "command": " ".join(["pytest", *config.invocation_params.args]),
        "commit": commit,
        "dirty": bool(changes) if commit else None,
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest()[:32] if lock.is_file() else None,
        "seeds": settings.seeds or "as each claim declares",
        "gate": settings.gate,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
