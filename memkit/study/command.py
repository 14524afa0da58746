"""``memkit study matrix.yaml``: run both stages of a study and write its report, doing only what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence.evidence_file import Evidence
from memkit.evidence.evidence_loading import load
from memkit.evidence.verdict import Verdict
from memkit.files import write_whole
from memkit.opened_files import OpenedFiles
from memkit.scheduling.executor import Executor, InlineExecutor, LocalExecutor
from memkit.store.store import Store
from memkit.study.loading import load_matrix
from memkit.study.matrix import Matrix
from memkit.study.objects import importable
from memkit.study.promotion import Promotion, join_names

_TEST_TEMPLATE = '''"""Stage B of {matrix}: the promoted configurations, each compared with its controls."""

from memkit import staged


@staged("{matrix}")
def test_{name}(scores):
    return scores
'''


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command line.

    Attributes:
        matrix: the path of the matrix.
        listing: whether to list the configurations only.
        screening: whether to stop after stage A.
        output: the folder for the report and the artefacts.
        store: the store of the trained runs.
        data: the folder of the data; None for pytest's default.
        device: "cpu", "cuda" or "mps".
        workers: the number of processes, as for pytest's ``-n``.
    """

    matrix: Path
    output: Path
    store: Store
    listing: bool = False
    screening: bool = False
    data: Path | None = None
    device: str = "cpu"
    workers: str = "auto"


def run_pytest(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run pytest in a separate process and return its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=dict(environment)).returncode


def run(options: Options, register: Callable[[list[str]], object]) -> int:
    """Run the stages of a study that the options request.

    Args:
        register: a function that registers the claims that pytest collects with the given arguments.

    Returns:
        The exit code: 0 if all went well; 1 if a claim is INCOMPLETE, a seed failed, or a claim did not get the verdict
        that it was registered with.
    """
    from memkit.study.artefacts import write_runs
    from memkit.study.listing import listing, screening_table
    from memkit.study.report import report
    from memkit.study.results import write_tables
    from memkit.study.screening import (
        check_arms,
        check_bounds,
        check_data,
        check_models,
        check_score,
        make_promotion,
        screen,
        train_missing,
    )

    with _data_folder(options.data), _recording_opened_files(options.store), importable(options.matrix.parent):
        matrix = load_matrix(options.matrix)
        _check_device(options.device, matrix)
        store = options.store
        check_models(matrix)
        if options.listing:
            print(listing(matrix, store))
            return 0
        check_data(matrix)
        check_score(matrix)
        store.prepare()
        failed = train_missing(matrix, store, executor=_executor(options), notify=_notify)
        for cohort, result in failed:
            names = [n for n, c in matrix.configurations.items() if c.recipe.digest == cohort.training.digest]
            print(f"memkit: {matrix.path.name}: {join_names(names)}: {result.reason}", file=sys.stderr)
            if result.details:
                print(result.details, file=sys.stderr)
        if failed:
            print("memkit: nothing was promoted, since the screening is incomplete", file=sys.stderr)
            return 1
        scores = screen(matrix, store, device=options.device)
        check_bounds(matrix, scores)
        promotion = make_promotion(matrix, scores)
        was_written = promotion.save(matrix.promoted_path)
        print(screening_table(promotion))
        print(f"{matrix.promoted_path}: {'written; keep it under version control' if was_written else 'unchanged'}")
        output = options.output
        if options.screening:
            evidence, code = _earlier_evidence(matrix, promotion, output), 0
        else:
            check_arms(matrix, promotion.promoted, device=options.device)
            evidence, code = _confirm(matrix, promotion, options, store, output, register)
        runs = write_runs(matrix, promotion, evidence, store, output, device=options.device, notify=_notify)
        write_tables(matrix, promotion, evidence, runs, output)
        write_whole(output / "report.md", report(matrix, promotion, evidence, runs))
        print(output / "report.md")
        return code


@contextmanager
def _recording_opened_files(store: Store) -> Iterator[None]:
    """Record which files of the project are opened within the context, since scores may depend on them."""
    opened = OpenedFiles(store.files.root).listen() if store.files is not None else None
    try:
        if opened is not None:
            opened.ignore_folder(store.root)
        yield
    finally:
        if opened is not None:
            opened.close()


def _confirm(
    matrix: Matrix,
    promotion: Promotion,
    options: Options,
    store: Store,
    output: Path,
    register: Callable[[list[str]], object],
) -> tuple[Evidence, int]:
    """Run stage B: register the claims and run them; return their evidence and the exit code."""
    test = write_test(matrix)
    shared = [str(test), "--memkit-with-sweeps", f"--memkit-device={options.device}"]
    # The URL of a store may contain a password, so it is passed in the environment and not on the command line.
    shared += [f"--memkit-store={store.root}"] if store.remote is None else []
    shared += [f"--memkit-data={options.data.resolve()}"] if options.data else []
    register(shared)
    sys.stdout.flush()
    output.mkdir(parents=True, exist_ok=True)
    file = (output / "evidence.json").resolve()
    mtime_before = file.stat().st_mtime_ns if file.is_file() else None
    arguments = [*shared, f"--memkit-evidence={file}", "-n", options.workers]
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    environment |= {"MEMKIT_STORE": store.remote.url} if store.remote is not None else {}
    code = run_pytest(arguments, environment)
    if not file.is_file() or file.stat().st_mtime_ns == mtime_before:
        raise MemkitError(
            f"stage B wrote no evidence (pytest's exit code was {code}); see pytest's output above for the reason"
        )
    evidence = load(file)
    ids = {f"{matrix.study}/{name}" for name in promotion.promoted}
    entries = [entry for entry in evidence.claims if entry.claim.id in ids]
    if missing := sorted(ids - {entry.claim.id for entry in entries}):
        raise MemkitError(
            f"{test} does not measure the claim {missing[0]!r}; put @staged({matrix.path.name!r}) on a test in it"
        )
    has_problem = any(e.verdict is Verdict.INCOMPLETE or e.failures or e.gate.outcome == "failed" for e in entries)
    return evidence, 1 if has_problem or code not in (0, 1) else code


def _earlier_evidence(matrix: Matrix, promotion: Promotion, output: Path) -> Evidence | None:
    """Return the evidence of an earlier run, if it is evidence for the claims that would be made now."""
    from memkit.study.staged import claim_of_configuration

    file = output / "evidence.json"
    if not file.is_file():
        return None
    evidence = load(file)
    recorded_claims = {entry.claim.id: entry.claim.to_json() for entry in evidence.claims}
    for name in promotion.promoted:
        claim = claim_of_configuration(matrix, name, cells=len(promotion.promoted)).to_json()
        recorded = recorded_claims.get(claim["id"], {})
        if any(claim[key] != recorded.get(key) for key in ("arms", "contrasts", "cells")):
            return None
    return evidence


def write_test(matrix: Matrix) -> Path:
    """Return the test file of stage B: one beside the matrix that uses ``@staged`` with it, or a new one."""
    folder, name = matrix.path.parent, matrix.path.name
    uses_matrix = re.compile(rf"\bstaged\(\s*[\"']{re.escape(name)}[\"']\s*\)")
    for file in sorted(folder.glob("test_*.py")):
        if uses_matrix.search(file.read_text(encoding="utf-8")):
            return file
    stem = re.sub("[^0-9a-zA-Z]+", "_", matrix.path.stem)
    file = next(
        candidate
        for candidate in (folder / f"test_{stem}.py", *(folder / f"test_{stem}_staged{i or ''}.py" for i in range(100)))
        if not candidate.exists()
    )
    write_whole(file, _TEST_TEMPLATE.format(matrix=name, name=stem))
    print(f"{file}: written; keep it under version control, and change it as you like")
    return file


def _python_path() -> str:
    """Return PYTHONPATH for pytest's processes: that of this process and the current directory."""
    return os.pathsep.join(path for path in [os.environ.get("PYTHONPATH", ""), os.getcwd()] if path)


@contextmanager
def _data_folder(folder: Path | None) -> Iterator[None]:
    """Let tasks find their data in a folder within the context, in this process and in those that it starts."""
    before = os.environ.get("MEMKIT_DATA")
    if folder is not None:
        if not folder.is_dir():
            raise MemkitError(f"--data {folder}: there is no such folder; give the folder that contains the data")
        os.environ["MEMKIT_DATA"] = str(folder.resolve())
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop("MEMKIT_DATA")
            if before is not None:
                os.environ["MEMKIT_DATA"] = before


def _check_device(device: str, matrix: Matrix) -> None:
    """Raise if models cannot be trained on the device."""
    from memkit.pytest_plugin.collection import check_training

    check_training(device, matrix.study)


def _executor(options: Options) -> Executor:
    """Return the executor for a value of ``-n``: with 0 this process trains, with ``auto`` one process per core."""
    workers = options.workers
    if workers in ("auto", "logical"):
        return LocalExecutor(device=options.device)
    if not workers.isdecimal():
        raise MemkitError(f"-n {workers} must be a number of processes, or auto")
    if int(workers) == 0:
        return InlineExecutor(device=options.device)
    return LocalExecutor(int(workers), device=options.device)


def _notify(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)
