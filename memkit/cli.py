"""The command line.

``memkit plan | study | verdicts | report | reproduce | register | accept | compare | page | data``
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memkit.errors import MemkitError, nearest
from memkit.evidence.evidence import ClaimEvidence, Evidence, load, recompute
from memkit.evidence.registration import Lock, lock_path

if TYPE_CHECKING:
    import pytest

    from memkit.training.cohorts import Cohort

_EVIDENCE = Path("reports/evidence.json")
_ACCEPTED = Path("reports/accepted.json")
# This process has imported memkit before pytest could rewrite its assertions, which is no reason to warn.
_QUIETLY = ("-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 fine, 1 something differs or fails, 4 bad input."""
    parser = _parser()
    given = sys.argv[1:] if argv is None else list(argv)
    options, unknown = parser.parse_known_args(given)
    if unknown and not options.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.given = given[1:]  # whole, for the value of an option of pytest looks like a path
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

    def command(name: str, run: Any, text: str, *, passes_on: bool = False) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run, passes_on=passes_on)
        return sub

    sub = command(
        "plan",
        _plan,
        "Say what a run would train, and what that would take. Options of pytest, such as --headline, are passed on.",
        passes_on=True,
    )
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub = command(
        "study",
        _study,
        "Run a staged study: screen the configurations of a matrix, confirm the promoted ones as claims, and report.",
    )
    sub.add_argument("matrix", type=Path, help="the matrix, a YAML file; see the README")
    sub.add_argument("--list", action="store_true", help="only say what there is, and what would be trained")
    sub.add_argument("--screen", action="store_true", help="stop after stage A")
    sub.add_argument("--output", metavar="DIR", type=_folder, help="default: reports/NAME of the matrix")
    sub.add_argument("--store", metavar="DIR", type=_folder, help="default: MEMKIT_STORE, else .memkit")
    sub.add_argument(
        "--data", metavar="DIR", type=_folder, help="the folder that data sets are read from (default: MEMKIT_DATA)"
    )
    sub.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="where models are trained")
    sub.add_argument("-n", metavar="N", default="auto", help="how many processes (default: auto)")
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
    sub.add_argument("--data", metavar="DIR", help="the folder that data sets are read from (default: MEMKIT_DATA)")
    sub = command("register", _register, "Register claims in their present form; changed ones move to fresh seeds.")
    sub.add_argument("paths", nargs="*", help="where to collect claims (default: as pytest would)")
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a claim is new or changed")
    sub = command("accept", _accept, "Accept a run: keep its verdicts and effects in a file to commit.")
    sub.add_argument("file", type=Path, nargs="?", default=_EVIDENCE)
    sub.add_argument("--output", type=Path, default=_ACCEPTED)
    sub = command(
        "compare", _compare, "What changed between two runs, or since the accepted one: verdicts, effects, cost."
    )
    sub.add_argument("before", type=Path, help="an evidence file, or accepted verdicts")
    sub.add_argument("after", type=Path, nargs="?", default=_EVIDENCE)
    sub = command("page", _page, "Write what was accepted between the marks of a study's page.")
    sub.add_argument("files", type=Path, nargs="+")
    sub.add_argument("--accepted", type=Path, default=_ACCEPTED)
    sub.add_argument("--check", action="store_true", help="change nothing; fail if a page differs")
    sub = command("data", None, "The data sets: which are here, and how to get the others.")
    actions = sub.add_subparsers(required=True, metavar="ACTION")
    sub = actions.add_parser("ls", help="every data set, and where it is or how to get it")
    sub.set_defaults(run=_data_ls)
    sub.add_argument("--data", metavar="DIR", type=_folder, help="where to look (default: MEMKIT_DATA)")
    sub = actions.add_parser("get", help="download a data set, through torchvision, and verify it")
    sub.set_defaults(run=_data_get)
    sub.add_argument("name", metavar="NAME", help="as `memkit data ls` lists it")
    sub.add_argument("--to", metavar="DIR", type=_folder, help="where it goes (default: MEMKIT_DATA)")
    return parser


def _plan(options: argparse.Namespace) -> int:
    from memkit.pytest_plugin.preview import preview
    from memkit.pytest_plugin.terminal import duration, skipped_for_data, training_needed

    config, _ = _collect(options.given)
    found = preview(config)
    if not found.claims:
        raise MemkitError("no claims were found; give the folder that holds them: memkit plan claims")

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
            "skipped" if row.planned.missing else f"{len(row.wanted)} seeds" if row.wanted else "verdict",
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
            "--with-sweeps",
            "-q",
            "-n0",
            *_QUIETLY,
        ]
        if options.data:
            arguments.append(f"--data={options.data}")
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


def _study(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("torch") is None:
        raise MemkitError("a study trains models, which needs torch; install memkit with its extra [torch]")
    from memkit.study.command import Options, run

    asked = Options(
        matrix=options.matrix,
        listing=options.list,
        screening=options.screen,
        output=options.output,
        store=options.store,
        data=options.data,
        device=options.device,
        workers=options.n,
    )
    return run(asked, lambda arguments: _register_claims(arguments, others=False))


def _register(options: argparse.Namespace) -> int:
    return _register_claims([*options.paths, "--with-sweeps"], check=options.check)


def _register_claims(arguments: Sequence[str], *, check: bool = False, others: bool = True) -> int:
    """Register what pytest collects by these arguments.

    Args:
        check: change nothing.
        others: tell of registered claims that were not collected.
    """
    from memkit.pytest_plugin.collection import claim_and_seed
    from memkit.pytest_plugin.measuring import code_of
    from memkit.pytest_plugin.settings import SETTINGS

    config, items = _collect([*arguments, "--seeds=8"])
    path = Path(config.stash[SETTINGS].lock)
    found = {pair[0].id: (pair[0], item) for item in items if (pair := claim_and_seed(item)) is not None}
    claims = [claim for claim, _ in found.values()]
    if not claims:
        raise MemkitError("no claims were found; give the folder that holds them: memkit register claims")
    lock = Lock.load(path)
    new = lock.register(claims, {claim.id: code_of(item, claim) for claim, item in found.values()})
    changes, noted, recoded = 0, 0, []
    for claim in sorted(claims, key=lambda claim: claim.id):
        before, after = lock.claims.get(claim.id), new.claims[claim.id]
        if before == after:
            continue
        if before is not None and before.attempt == after.attempt:
            noted += not before.code
            recoded += [claim.id] if before.code else []
            continue
        changes += 1
        seeds = new.registration(claim).first_seed
        word = "new" if before is None else f"changed, attempt {after.attempt}"
        print(f"{claim.id}: {word}, seeds from {seeds}")
    if recoded:
        more = f" and {len(recoded) - 1} more" if len(recoded) > 1 else ""
        print(f"{recoded[0]}{more}: the code behind it has changed; a revision, on the same seeds")
    absent = sorted(set(lock.claims) - {claim.id for claim in claims}) if others else []
    for name in absent:
        print(f"{name}: in the lock, not among the claims that were collected; left as it is")
    if check:
        print(
            f"{changes} of {len(claims)} claims are new or changed, {len(recoded)} have other code behind them, "
            f"{len(absent)} registered ones were not collected"
        )
        return 1 if changes or absent or recoded else 0
    if changes or recoded or noted:
        new.save(path)
    count = f"{len(claims)} claim" + ("" if len(claims) == 1 else "s")
    print(f"{path}: {count}, {changes} of them new or changed; keep it under version control")
    return 0


def _collect(arguments: Sequence[str]) -> tuple[pytest.Config, list[pytest.Item]]:
    """What pytest collects, and its configuration."""
    import pytest

    class Collected:
        config: pytest.Config
        items: list[pytest.Item]

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            self.config, self.items = session.config, session.items

    found = Collected()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*arguments, "--collect-only", "-q", "-n0", *_QUIETLY], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(said.getvalue(), file=sys.stderr)
        raise MemkitError("the claims could not be collected; pytest's reason stands above")
    return found.config, found.items


def _accept(options: argparse.Namespace) -> int:
    from memkit.evidence.accepted import accepted_claims, load_accepted, outdated, save_accepted
    from memkit.training.estimates import recipe_key

    evidence = load(options.file)
    try:
        found = accepted_claims(evidence, recipe_key)
    except MemkitError as error:
        raise MemkitError(f"{options.file}: {error}") from None
    # Claims that were accepted before and are not in this run stay accepted, as long as they are registered so.
    claims = {**load_accepted(options.output), **found}
    old = outdated(claims, Lock.load(lock_path(Path.cwd())))
    for name, why in sorted(old.items()):
        print(f"{name} {why}; dropped")
    save_accepted(options.output, {name: claim for name, claim in claims.items() if name not in old})
    if idle := len(evidence.claims) - len(found):
        print(f"{idle} claims did not run, and stay as they were accepted before")
    print(f"{len(found)} verdicts accepted in {options.output}; commit that file")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from memkit.evidence.drift import compare

    found, gone, new = compare(options.before, options.after)
    for entry in found:
        for sentence in entry.sentences:
            print(f"{entry.claim}: {sentence}")
    for name in gone:
        print(f"{name}: only in {options.before}")
    for name in new:
        print(f"{name}: only in {options.after}")
    drifted = sum(bool(entry.drift) for entry in found)
    print(f"{len(found)} claims in both; the verdict or an effect of {drifted} of them changed")
    return 1 if drifted else 0


def _page(options: argparse.Namespace) -> int:
    from memkit.evidence.accepted import load_accepted, outdated
    from memkit.evidence.reports.pages import rewrite
    from memkit.study.screened import screening_block

    accepted = load_accepted(options.accepted)
    for name, why in outdated(accepted, Lock.load(lock_path(Path.cwd()))).items():
        raise MemkitError(f"{options.accepted}: {name} {why}; run it, and `memkit accept` that run")
    differing = 0
    for file in options.files:
        before = file.read_text(encoding="utf-8")
        try:
            after = rewrite(before, accepted, {"screening": screening_block})
        except MemkitError as error:
            raise MemkitError(f"{file}: {error}") from None
        differing += before != after
        if not options.check:
            file.write_text(after, encoding="utf-8")
        word = "as it was" if before == after else "DIFFERS" if options.check else "written"
        print(f"{file}: {word}")
    return 1 if options.check and differing else 0


def _data_ls(options: argparse.Namespace) -> int:
    _check_torch()
    from memkit.tasks.images import datasets

    width = max(map(len, datasets.SOURCES))
    root = options.data or datasets.data_root()
    for name, source in datasets.SOURCES.items():
        where = f"in {root / source.folder}" if source.folder and root else "in scikit-learn"
        print(f"{name:<{width}}  {datasets.size(name):>6} images  {datasets.missing(name, root) or where}")
    return 0


def _data_get(options: argparse.Namespace) -> int:
    _check_torch()
    from memkit.tasks.images import datasets
    from memkit.tasks.images.vision import download

    name, folder = options.name, datasets.source(options.name).folder
    root: Path | None = options.to or datasets.data_root()
    if folder and root is None:
        raise MemkitError(f"say where the data set {name} is to go: memkit data get {name} --to DIR")
    download(name, root)
    where = f"in {root / folder}" if folder and root else "in scikit-learn"
    print(f"{name}: {datasets.size(name)} images {where}, verified")
    if folder and root != datasets.data_root():
        print(f"for claims: pytest --data {root}, or MEMKIT_DATA={root}")
    return 0


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MemkitError(
            "data sets are read with torch; install memkit with its extras, as in "
            "pip install 'path/to/memkit[torch,data]'"
        )


if __name__ == "__main__":
    raise SystemExit(main())
