"""Commands on the claims that pytest collects: plan, study, register."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import uuid
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from memkit.cli import places
from memkit.errors import MemkitError, many
from memkit.evidence.lock_file import Lock
from memkit.evidence.lock_schema_1 import carried_over
from memkit.paths import root_of_lock

if TYPE_CHECKING:
    import pytest

    from memkit.scheduling.cohorts import Cohort

# This process has imported memkit before pytest could rewrite its assertions, which is no reason to warn.
QUIETLY = ("-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")


def plan(options: argparse.Namespace) -> int:
    """``memkit plan``: what a run would train, and what that would take."""
    from memkit.pytest_plugin.preview import preview
    from memkit.pytest_plugin.terminal import duration, skipped_for_data, training_needed

    config, _ = collect(options.given)
    found = preview(config)
    if not found.claims:
        raise MemkitError(
            "no claims were found, or none that these options select; give their folder: memkit plan claims"
        )

    def seconds(cohorts: Sequence[Cohort]) -> str:
        if not cohorts:
            return "–"
        known = [found.seconds.get(cohort.training.digest) for cohort in cohorts]
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
            "skipped" if row.planned.missing else many(len(row.wanted), "seed") if row.wanted else "verdict",
            str(runs(row.next)),
            seconds(row.next),
            str(runs(row.most)),
            seconds(row.most),
        )
        for row in found.claims
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        print("  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]))
    print(f"next: {training_needed(found.next, found.seconds)}")
    print(f"if every claim went on to its last look: {training_needed(found.most, found.seconds)}")
    for line in skipped_for_data(found.plan):
        print(line)
    print(f"store: {found.store}")
    return 0


def study(options: argparse.Namespace) -> int:
    """``memkit study``: screen the configurations of a matrix, confirm the promoted ones, and report."""
    if importlib.util.find_spec("torch") is None:
        raise MemkitError("a study trains models, which needs torch; install memkit with its extra [torch]")
    from memkit.study.command import Options, run

    asked = Options(
        matrix=options.matrix,
        listing=options.list,
        screening=options.screen,
        output=options.output or places.in_project("reports") / options.matrix.stem,
        store=places.store(options.store, session=uuid.uuid4().hex),
        data=options.data,
        device=options.device,
        workers=options.n,
    )
    return run(asked, lambda arguments: register_claims(arguments, others=False))


def register(options: argparse.Namespace) -> int:
    """``memkit register``: claims in their present form, changed ones on fresh seeds."""
    if options.remove:
        return _remove(options.remove)
    return register_claims([*options.paths, "--memkit-with-sweeps"], check=options.check)


def _remove(names: Sequence[str]) -> int:
    """Take claims out of the lock, which keeps their attempts in case they come back."""
    path = places.lock()
    Lock.load(path).remove(names).save(path)
    print(f"{path}: {', '.join(names)} removed; its attempts stay on record")
    return 0


def register_claims(arguments: Sequence[str], *, check: bool = False, others: bool = True) -> int:
    """Register what pytest collects by these arguments.

    Args:
        check: change nothing.
        others: tell of registered claims that were not collected.
    """
    from memkit.pytest_plugin.collection import claim_and_seed, file_of
    from memkit.pytest_plugin.measurement_keys import code_of
    from memkit.pytest_plugin.settings import settings_of

    config, items = collect([*arguments, "--memkit-seeds=8"])
    path = settings_of(config).lock
    root = root_of_lock(path)
    found = {pair[0].id: (pair[0], item) for item in items if (pair := claim_and_seed(item)) is not None}
    claims = [claim for claim, _ in found.values()]
    if not claims:
        raise MemkitError("no claims were found; give the folder that holds them: memkit register claims")
    lock = Lock.load(path)
    code = {claim.id: code_of(item, claim) for claim, item in found.values()}
    new = lock.register(claims, code, {claim.id: file_of(item, root) for claim, item in found.values()})
    changes, noted, old, reworded, recoded, lines = 0, 0, 0, 0, list[str](), list[str]()
    for claim in sorted(claims, key=lambda claim: claim.id):
        before, after = lock.claims.get(claim.id), new.claims[claim.id]
        if before == after:
            continue
        if before is not None and before.attempt == after.attempt:
            old += before.of_schema_1
            noted += not before.code or before.file != after.file
            recoded += [claim.id] if before.code not in ("", after.code) else []
            if edited := lock.registration(claim).edited:
                reworded += 1
                lines.append(f"{claim.id}: reworded ({edited}), on the same seeds")
            continue
        changes += 1
        seeds = new.registration(claim).first_seed
        word = f"changed, attempt {after.attempt}"
        if before is None:
            word = f"back, attempt {after.attempt}" if claim.id in lock.removed else "new"
        lines.append(f"{claim.id}: {word}, seeds from {seeds}")
    if recoded:
        more = f" and {len(recoded) - 1} more" if len(recoded) > 1 else ""
        lines.append(f"{recoded[0]}{more}: the code behind it has changed; a revision, on the same seeds")
    absent = sorted(set(lock.claims) - {claim.id for claim in claims}) if others else []
    lines += [f"{name}: in the lock, not among the claims that were collected; left as it is" for name in absent]
    if old and not check:
        accepted = settings_of(config).accepted
        new, rewritten = _carry_over(lock, new, accepted)
        also = f", and so is {accepted}" if rewritten else ""
        lines.append(f"{many(old, 'claim')} registered by an older memkit: the lock is rewritten, at no attempt{also}")
    if new != lock and not check:
        new.save(path)  # before anything is printed: whoever reads it may have gone
    print("".join(f"{line}\n" for line in lines), end="")
    if check:
        also = f", {reworded} reworded" if reworded else ""
        print(
            f"{changes} of {many(len(claims), 'claim')} new or changed{also}, {len(recoded)} with other code behind "
            f"them, {len(absent)} registered and not collected"
        )
        if noted:
            print(f"of {many(noted, 'claim')} the lock does not know the file or the code; `memkit register` notes it")
        if old:
            print(f"{many(old, 'claim')} registered by an older memkit; `memkit register` rewrites that, at no attempt")
        return 1 if changes or reworded or absent or recoded else 0
    count = f"{len(claims)} claim" + ("" if len(claims) == 1 else "s")
    print(f"{path}: {count}, {changes} of them new or changed; keep it under version control")
    return 0


def _carry_over(before: Lock, after: Lock, path: Path) -> tuple[Lock, bool]:
    """Bring the accepted verdicts along with the entries of the lock that were rewritten.

    Returns:
        The lock with what they say of its attempts, and whether their file was rewritten, too.
    """
    from memkit.evidence.accepted_verdicts import load_accepted, save_accepted

    accepted = load_accepted(path)
    lock, claims = carried_over(before, after, accepted)
    if claims != accepted:
        save_accepted(path, claims)
    return lock, claims != accepted


def collect(arguments: Sequence[str]) -> tuple[pytest.Config, list[pytest.Item]]:
    """Return pytest's configuration, and what it collects.

    Raises:
        MemkitError: it cannot collect; its reason was printed.
    """
    import pytest

    said = io.StringIO()

    class Collected:
        config: pytest.Config
        items: list[pytest.Item]

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_collection_finish(self, session: pytest.Session) -> Generator[None, object, object]:
            self.config, self.items = session.config, session.items
            start = said.tell()
            try:
                return (yield)
            finally:  # pytest lists every test, and there may be thousands
                said.seek(start)
                said.truncate()

    found = Collected()
    with contextlib.redirect_stdout(said):
        options = ("--collect-only", "-q", "-n0", "--disable-warnings", *QUIETLY)
        code = pytest.main([*arguments, *options], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        if reason := said.getvalue().strip("\n"):
            print(reason, file=sys.stderr)
        raise MemkitError("the claims could not be collected; pytest's reason stands above")
    return found.config, found.items
