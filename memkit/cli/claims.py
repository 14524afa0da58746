"""Commands on the claims that pytest collects: plan, study, register."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memkit.cli import places
from memkit.errors import MemkitError, count_of, suggestion
from memkit.evidence.claim import Claim
from memkit.evidence.earlier_runs import EarlierRuns
from memkit.evidence.lock_entry import checked_alpha
from memkit.evidence.lock_file import Lock
from memkit.evidence.lock_schema_1 import carry_over_accepted
from memkit.evidence.registration import BLOCK, LABORATORY_STRIDE, STUDY_STRIDE
from memkit.evidence.trace import NO_TRACE, Trace
from memkit.paths import root_of_lock
from memkit.statistics import Thresholds, smallest_sesoi
from memkit.store.claim_records import load_claim_records
from memkit.store.measurements import stored_seeds

if TYPE_CHECKING:
    import pytest

    from memkit.scheduling.cohorts import Cohort

# pytest would warn that it cannot rewrite the assertions of memkit, because this process has already imported it.
_REACHABLE = 0.9
"""The share of a sesoi that equivalence may need without any spread; if it needs more, it is hardly ever shown."""
QUIET_OPTIONS = ("-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")


def plan(options: argparse.Namespace) -> int:
    """``memkit plan``: show what a run would train, and how long it would take."""
    from memkit.pytest_plugin.preview import preview
    from memkit.pytest_plugin.terminal import duration, skipped_for_data, training_needed

    config, _ = collect(options.arguments)
    outlook = preview(config)
    if not outlook.claims:
        raise MemkitError("no claims were found, or these options select none; name their folder: memkit plan claims")

    def seconds(cohorts: Sequence[Cohort]) -> str:
        if not cohorts:
            return "–"
        known = [outlook.seconds.get(cohort.training.digest) for cohort in cohorts]
        if None in known:
            return "unknown"
        return duration(sum(len(c.seeds) * s for c, s in zip(cohorts, known, strict=True) if s is not None))

    def runs(cohorts: Sequence[Cohort]) -> int:
        return sum(len(cohort.seeds) for cohort in cohorts)

    rows = [("claim", "in store", "next", "to train", "CPU", "at most", "CPU")]
    rows += [
        (
            row.planned.claim.id,
            f"{row.measured} of {len(row.planned.planned)}",
            "skipped" if row.planned.missing else count_of(len(row.wanted), "seed") if row.wanted else "verdict",
            str(runs(row.next)),
            seconds(row.next),
            str(runs(row.most)),
            seconds(row.most),
        )
        for row in outlook.claims
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print("  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]))
    print(f"next: {training_needed(outlook.next, outlook.seconds)}")
    print(f"if every claim went on to its last look: {training_needed(outlook.most, outlook.seconds)}")
    for line in skipped_for_data(outlook.plan):
        print(line)
    print(f"store: {outlook.store}")
    return 0


def study(options: argparse.Namespace) -> int:
    """``memkit study``: screen the configurations of a matrix, confirm the promoted ones, and report."""
    if importlib.util.find_spec("torch") is None:
        raise MemkitError("a study trains models, which needs torch; install memkit with its extra [torch]")
    from memkit.study.command import Options, run

    study_options = Options(
        matrix=options.matrix,
        listing=options.list,
        screening=options.screen,
        output=options.output or places.in_project("reports") / options.matrix.stem,
        store=places.store(options.store, session=uuid.uuid4().hex),
        data=options.data,
        device=options.device,
        workers=options.n,
    )
    return run(study_options, lambda arguments: register_claims(arguments, others=False))


def register(options: argparse.Namespace) -> int:
    """``memkit register``: register claims in their present form, changed ones with fresh seeds."""
    if options.remove:
        return _remove(options.remove)
    if options.laboratory is not None:
        return _grant(options.laboratory)
    return register_claims(
        [*options.paths, "--memkit-with-sweeps"],
        check=options.check,
        alpha=options.alpha,
        new_attempts=options.new_attempt or (),
    )


def _remove(names: Sequence[str]) -> int:
    """Remove claims from the lock, which keeps their attempts in case the claims are registered again."""
    path = places.lock()
    Lock.load(path).remove(names).save(path)
    print(f"{path}: {', '.join(names)} removed; their attempts stay on record")
    return 0


def _grant(laboratory: str) -> int:
    """Grant a laboratory seeds of its own."""
    path = places.lock()
    before = Lock.load(path)
    after = before.granting(laboratory)
    if after == before:
        print(f"{path}: the laboratory {laboratory!r} has seeds already")
        return 0
    after.save(path)
    first = after.laboratories[laboratory] * LABORATORY_STRIDE
    print(
        f"{path}: the laboratory {laboratory!r} has seeds from {first + STUDY_STRIDE} on, a block for each attempt at "
        f"a claim; it runs `pytest --memkit-laboratory {laboratory}`"
    )
    return 0


def register_claims(
    arguments: Sequence[str],
    *,
    check: bool = False,
    others: bool = True,
    alpha: float | None = None,
    new_attempts: Sequence[str] = (),
) -> int:
    """Register the claims that pytest collects with these arguments; return the exit code.

    Args:
        arguments: pytest's arguments.
        check: whether to change nothing, and to return 1 if the lock is out of date.
        others: whether to list registered claims that were not collected.
        alpha: the error probability of claims that are registered from now on; None to leave it as it is.
        new_attempts: the ids of claims that get a new attempt, on fresh seeds, even if nothing needs it.
    """
    from memkit.pytest_plugin.collection import claim_and_seed, file_of
    from memkit.pytest_plugin.measurement_keys import code_of
    from memkit.pytest_plugin.settings import settings_of

    config, items = collect([*arguments, "--memkit-seeds=8"])
    path = settings_of(config).lock
    root = root_of_lock(path)
    collected = {pair[0].id: (pair[0], item) for item in items if (pair := claim_and_seed(item)) is not None}
    claims = [claim for claim, _ in collected.values()]
    if not claims:
        raise MemkitError("no claims were found; name their folder: memkit register claims")
    lock = Lock.load(path)
    code = {claim.id: code_of(item, claim) for claim, item in collected.values()}
    base = lock if alpha is None else replace(lock, alpha=checked_alpha(alpha, "--alpha"))
    if unknown := next((name for name in new_attempts if name not in collected), None):
        raise MemkitError(f"--new-attempt: no claim {unknown!r} was collected{suggestion(unknown, collected)}")
    records = load_claim_records(settings_of(config).store_of_run)
    traces = {claim.id: _trace(claim, lock, code[claim.id], records.get(claim.id, ())) for claim in claims}
    traces |= {name: replace(traces[name], needs_attempt=True) for name in new_attempts}
    files = {claim.id: file_of(item, root) for claim, item in collected.values()}
    new = base.register(claims, code, files, traces)
    changes, incomplete, outdated, reworded = 0, 0, 0, 0
    recoded, lines = list[str](), list[str]()
    for claim in sorted(claims, key=lambda claim: claim.id):
        before, after = lock.claims.get(claim.id), new.claims[claim.id]
        if before == after:
            continue
        if before is not None and len(before.attempts) == len(after.attempts):
            outdated += before.of_schema_1
            incomplete += not before.code or before.file != after.file or before.identity != after.identity
            recoded += [claim.id] if before.code not in ("", after.code) else []
            if edited := lock.registration(claim).edited:
                _refuse_fewer_than_measured(claim, collected[claim.id][1], before.planned, lock)
                reworded += 1
                lines.append(f"{claim.id}: reworded ({edited}), on the same seeds")
            continue
        changes += 1
        seeds = new.registration(claim).first_seed
        status = f"changed, attempt {after.attempt}"
        if before is None:
            status = f"registered again, attempt {after.attempt}" if claim.id in lock.removed else "new"
            if after.attempts[0].of:
                status = f"continues {after.attempts[0].of}, attempt {after.attempt}"
        elif before.is_of(claim):
            status = f"attempt {after.attempt}"
        elif after.attempts[-2].unmeasured:
            status = f"changed before any seed was measured, still attempt {after.attempt}"
        lines.append(f"{claim.id}: {status}, seeds from {seeds}")
    if recoded:
        more = f" and {len(recoded) - 1} more" if len(recoded) > 1 else ""
        lines.append(f"{recoded[0]}{more}: the code behind it has changed; a revision, on the same seeds")
    lines += filter(None, (_out_of_reach(claim, new.registration(claim).thresholds) for claim in claims))
    older_rule = lock.rule != new.rule and bool(lock.claims)
    if older_rule:
        kept = count_of(len(lock.claims) - changes, "claim")
        lines.append(f"the rule of verdicts has changed since this lock was written; {kept} on the same seeds")
    absent = sorted(set(lock.claims) - {claim.id for claim in claims}) if others else []
    lines += [f"{name}: in the lock, not among the collected claims; left unchanged" for name in absent]
    if outdated and not check:
        accepted = settings_of(config).accepted
        new, rewritten = _carry_over(lock, new, accepted)
        also = f", and so is {accepted}" if rewritten else ""
        lines.append(
            f"{count_of(outdated, 'claim')} registered by an older memkit: the lock is rewritten without new "
            f"attempts{also}"
        )
    if new != lock and not check:
        new.save(path)  # before printing, which fails if the reader of standard output has exited
    print("".join(f"{line}\n" for line in lines), end="")
    if check:
        also = f", {reworded} reworded" if reworded else ""
        print(
            f"{changes} of {count_of(len(claims), 'claim')} new or changed{also}, {len(recoded)} with different code "
            f"behind them, {len(absent)} registered but not collected"
        )
        if incomplete:
            print(f"the lock lacks the file or the code of {count_of(incomplete, 'claim')}; `memkit register` adds it")
        if outdated:
            print(
                f"{count_of(outdated, 'claim')} registered by an older memkit; `memkit register` rewrites the lock "
                "without new attempts"
            )
        return 1 if changes or reworded or absent or recoded or older_rule else 0
    count = f"{len(claims)} claim" + ("" if len(claims) == 1 else "s")
    print(f"{path}: {count}, {changes} of them new or changed; keep it under version control")
    return 0


def _trace(claim: Claim, lock: Lock, code: str, records: Sequence[Mapping[str, Any]]) -> Trace:
    """Return what the store knows of the present attempt of a claim, whose digest may have changed since."""
    entry = lock.claims.get(claim.id)
    if entry is None:
        return NO_TRACE
    registration = lock.registration(claim, code=code)
    first_seed = lock.studies[claim.study] + entry.block * BLOCK
    return EarlierRuns(entry.digest, first_seed, records, is_mutant=claim.is_mutant).trace(registration, code)


def _refuse_fewer_than_measured(claim: Claim, item: pytest.Item, registered: int, lock: Lock) -> None:
    """Refuse a number of seeds that is lower than what was registered and what the store holds.

    Raises:
        MemkitError: the store has measurements of seeds beyond the new number.
    """
    from memkit.pytest_plugin.measurement_keys import key_of
    from memkit.pytest_plugin.settings import settings_of

    most = claim.planned(None)
    beyond = lock.registration(claim).seeds(registered)[most:]
    if beyond and (measured := stored_seeds(settings_of(item.config).store_of_run, key_of(item, claim), beyond)):
        n = most + beyond.index(max(measured)) + 1
        raise MemkitError(
            f"claim {claim.id!r}: seeds={most} is below the {n} seeds that were measured; declare at least {n}"
        )


def _out_of_reach(claim: Claim, thresholds: Thresholds) -> str:
    """Say that a claim of equivalence can hardly be shown with its seeds; "" if it can."""
    n = claim.planned(None)
    for contrast in claim.contrasts:
        bounds = contrast.difference_bounds
        if claim.expect != "equivalent" or contrast.sesoi is None or contrast.assume == "normal" or bounds is None:
            continue
        least = smallest_sesoi(n, bounds=bounds, threshold=thresholds.equivalence)
        if least > _REACHABLE * contrast.sesoi:
            return (
                f"{claim.id}: {n} seeds can hardly show equivalence within ±{contrast.sesoi:g}, as that takes "
                f"±{least:.3g} even if no seed differs; declare more seeds= or a larger sesoi="
            )
    return ""


def _carry_over(before: Lock, after: Lock, path: Path) -> tuple[Lock, bool]:
    """Rewrite the accepted verdicts for the entries of the lock that were rewritten.

    Returns:
        The lock with the outcomes of attempts from the accepted verdicts, and whether their file was rewritten, too.
    """
    from memkit.evidence.accepted_verdicts import load_accepted, save_accepted

    accepted = load_accepted(path)
    lock, claims = carry_over_accepted(before, after, accepted)
    if claims != accepted:
        save_accepted(path, claims)
    return lock, claims != accepted


def collect(arguments: Sequence[str]) -> tuple[pytest.Config, list[pytest.Item]]:
    """Return pytest's configuration, and the items that it collects.

    Raises:
        MemkitError: if pytest cannot collect; its output was printed.
    """
    import pytest

    output = io.StringIO()

    class Collection:
        config: pytest.Config
        items: list[pytest.Item]

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, object, object]:
            self.config, self.items = session.config, session.items
            start = output.tell()
            try:
                return (yield)
            finally:  # remove pytest's list of all tests, which may be thousands
                output.seek(start)
                output.truncate()

    collection = Collection()
    with contextlib.redirect_stdout(output):
        options = ("--collect-only", "-q", "-n0", "--disable-warnings", *QUIET_OPTIONS)
        code = pytest.main([*arguments, *options], plugins=[collection])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        if reason := output.getvalue().strip("\n"):
            print(reason, file=sys.stderr)
        raise MemkitError("the claims could not be collected; see pytest's output above")
    return collection.config, collection.items
