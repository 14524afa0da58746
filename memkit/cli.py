"""The command line: ``memkit verdicts | report | reproduce | register | accept``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError, nearest
from memkit.evidence.evidence import ClaimEvidence, Evidence, load, recompute
from memkit.evidence.gate import gate
from memkit.evidence.registration import Lock
from memkit.evidence.verdict import Verdict

if TYPE_CHECKING:
    import pytest

    from memkit.evidence.claim import Claim

_EVIDENCE = Path("reports/evidence.json")
_ACCEPTED = Path("reports/accepted.json")
# This process has imported memkit before pytest could rewrite its assertions, which is no reason to warn.
_QUIETLY = ("-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 fine, 1 something differs or fails, 4 bad input."""
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except (MemkitError, OSError) as error:
        print(f"memkit: {error}", file=sys.stderr)
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="memkit", description="Experiments as tests: claims, their seeds and their evidence."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("verdicts", _verdicts, "Compute every verdict of an evidence file again, and fail where one differs.")
    sub.add_argument("file", type=Path, nargs="?", default=_EVIDENCE)
    sub = command("report", _report, "Render the HTML report from an evidence file.")
    sub.add_argument("file", type=Path, nargs="?", default=_EVIDENCE)
    sub.add_argument("--output", type=Path, help="default: beside the file, with the ending .html")
    sub = command(
        "reproduce", _reproduce, "Train and measure one seed of a claim again, and compare with the evidence."
    )
    sub.add_argument("claim")
    sub.add_argument("--seed", type=int, required=True)
    sub.add_argument("--evidence", type=Path, default=_EVIDENCE)
    sub.add_argument(
        "--tolerance",
        type=float,
        default=0.02,
        help="greatest difference in units of the metric (default: 0.02)",
    )
    sub = command("register", _register, "Register claims in their present form; changed ones move to fresh seeds.")
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a claim is new or changed")
    sub = command("accept", _accept, "Accept a run: keep its verdicts and effects in a file to commit.")
    sub.add_argument("file", type=Path, nargs="?", default=_EVIDENCE)
    sub.add_argument("--output", type=Path, default=_ACCEPTED)
    return parser


def _verdicts(options: argparse.Namespace) -> int:
    rows = recompute(options.file)
    width = max((len(name) for name, _, _ in rows), default=0)
    differing = 0
    for name, recorded, found in rows:
        same = recorded == found
        differing += not same
        print(f"{name:<{width}}  {found}" + ("" if same else f"  DIFFERS: the file says {recorded}"))
    if differing:
        print(f"{differing} of {len(rows)} verdicts do not follow from the observations in {options.file}")
        return 1
    print(f"all {len(rows)} verdicts follow from the observations in {options.file}")
    print("That the observations are true is another matter: `memkit reproduce CLAIM --seed N` trains one again.")
    return 0


def _report(options: argparse.Namespace) -> int:
    from memkit.evidence.reports import render_html

    output = options.output or options.file.with_suffix(".html")
    output.write_text(render_html(load(options.file)), encoding="utf-8")
    print(output)
    return 0


def _entry(evidence: Evidence, claim_id: str, where: Path) -> ClaimEvidence:
    for entry in evidence.claims:
        if entry.claim.id == claim_id:
            return entry
    raise MemkitError(f"{where} has no claim {claim_id!r}{nearest(claim_id, (e.claim.id for e in evidence.claims))}")


def _reproduce(options: argparse.Namespace) -> int:
    import pytest

    recorded = _entry(load(options.evidence), options.claim, options.evidence)
    expected = {(o.arm, o.metric): o.value for o in recorded.observations if o.seed == options.seed}
    if not expected:
        seeds = ", ".join(map(str, recorded.seen))
        raise MemkitError(
            f"{options.evidence} has no observation of {options.claim} for seed {options.seed}; it has {seeds}"
        )
    with tempfile.TemporaryDirectory(prefix="memkit-reproduce-") as folder:
        file = Path(folder) / "evidence.json"
        arguments = [
            f"{recorded.nodeid}[{options.seed}]",
            f"--seeds={len(recorded.planned)}",
            f"--store={folder}/store",
            f"--evidence={file}",
            "--gate=none",
            "-q",
            "-n0",
            *_QUIETLY,
        ]
        if recorded.registration.development:
            arguments.append("--development")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = pytest.main(arguments)
        if not file.is_file():
            print(said.getvalue(), file=sys.stderr)
            raise MemkitError(
                f"seed {options.seed} of {options.claim} could not be run again (pytest's exit code {int(code)})"
            )
        found_entry = _entry(load(file), options.claim, file)
    found = {(o.arm, o.metric): o.value for o in found_entry.observations if o.seed == options.seed}
    if not found:
        raise MemkitError(f"seed {options.seed} of {options.claim} was not measured: {found_entry.gate.reason}")
    worst = 0.0
    print(f"{options.claim}, seed {options.seed}: recorded and reproduced")
    for key, old in expected.items():
        new = found.get(key, math.nan)
        difference = 0.0 if math.isnan(old) and math.isnan(new) else abs(old - new)
        worst = max(worst, math.inf if math.isnan(difference) else difference)
        print(f"  {key[0]:<20} {key[1]:<12} {old:>10.4f} {new:>10.4f}   difference {difference:.4f}")
    same = worst <= options.tolerance
    word = "reproduced" if same else "NOT reproduced"
    print(f"{word}: the greatest difference is {worst:.4f}, tolerance {options.tolerance:g}")
    return 0 if same else 1


def _register(options: argparse.Namespace) -> int:
    claims, path = _collect(options.paths)
    if not claims:
        raise MemkitError("no claims were found; give the folder that holds them: memkit register claims")
    lock = Lock.load(path)
    new = lock.register(claims)
    changes = 0
    for claim in sorted(claims, key=lambda claim: claim.id):
        before, after = lock.claims.get(claim.id), new.claims[claim.id]
        if before == after:
            continue
        changes += 1
        seeds = new.registration(claim).first_seed
        word = "new" if before is None else f"changed, attempt {after.attempt}"
        print(f"{claim.id}: {word}, seeds from {seeds}")
    absent = sorted(set(lock.claims) - {claim.id for claim in claims})
    for name in absent:
        print(f"{name}: in the lock, not among the claims that were collected; left as it is")
    if options.check:
        print(f"{changes} of {len(claims)} claims are new or changed, {len(absent)} registered ones were not collected")
        return 1 if changes or absent else 0
    if changes:
        new.save(path)
    count = f"{len(claims)} claim" + ("" if len(claims) == 1 else "s")
    print(f"{path}: {count}, {changes} of them new or changed; keep it under version control")
    return 0


def _collect(paths: Sequence[str]) -> tuple[list[Claim], Path]:
    """The claims that pytest finds, and the project's lock."""
    import pytest

    from memkit.pytest_plugin.collection import claim_and_seed
    from memkit.pytest_plugin.settings import SETTINGS

    class Collected:
        def __init__(self) -> None:
            self.claims: dict[str, Claim] = {}
            self.lock = Path()

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            self.lock = Path(session.config.stash[SETTINGS].lock)
            for item in session.items:
                if pair := claim_and_seed(item):
                    self.claims[pair[0].id] = pair[0]

    found = Collected()
    arguments = [*paths, "--collect-only", "-q", "-n0", "--seeds=8", *_QUIETLY]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(arguments, plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(said.getvalue(), file=sys.stderr)
        raise MemkitError("the claims could not be collected; pytest's reason stands above")
    return list(found.claims.values()), found.lock


def _accept(options: argparse.Namespace) -> int:
    evidence = load(options.file)
    for entry in evidence.claims:
        reason = _unacceptable(entry)
        if reason:
            raise MemkitError(
                f"{options.file}: {entry.claim.id} {reason}; only a run that decided and passed is accepted"
            )
    accepted = _accepted_so_far(options.output)
    for e in evidence.claims:
        accepted[e.claim.id] = {
            "statement": e.claim.statement,
            "source": e.claim.source,
            "digest": e.claim.digest,
            "attempt": e.registration.attempt,
            "expect": e.claim.expect,
            "cost": dict(e.cost),
            "judgement": e.judgement.to_json(),
            "created": evidence.created,
            "commit": evidence.provenance.get("commit"),
        }
    content = {"schema": 1, "claims": {name: accepted[name] for name in sorted(accepted)}}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(evidence.claims)} verdicts accepted in {options.output}; commit that file")
    return 0


def _unacceptable(entry: ClaimEvidence) -> str:
    """Why a claim's verdict cannot be accepted, or ""."""
    if entry.registration.status != "registered":
        return f"is {entry.registration.status}"
    if entry.registration.development:
        return "ran on development seeds"
    if entry.judgement.indication is not None:
        return f"decided nothing ({'; '.join(entry.judgement.notes)})"
    if entry.verdict is Verdict.INCOMPLETE:
        return "is INCOMPLETE"
    # Not as it was recorded: the run may have gated nothing.
    found = gate(entry.claim, entry.judgement, registration=entry.registration, failures=dict(entry.failures))
    return f"failed ({found.reason})" if found.outcome == "failed" else ""


def _accepted_so_far(path: Path) -> dict[str, Any]:
    """Claims that were accepted before and are not in this run stay accepted."""
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
    return dict(claims)


if __name__ == "__main__":
    raise SystemExit(main())
