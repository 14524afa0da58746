"""``memkit study matrix.yaml``: from a matrix to a report, doing only what is missing."""

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
from memkit.opened_files import Opened
from memkit.scheduling.executor import Executor, InlineExecutor, LocalExecutor
from memkit.store.store import Store
from memkit.study.loading import load_matrix
from memkit.study.matrix import Matrix
from memkit.study.objects import importable
from memkit.study.promotion import Promotion, listed

_TEST = '''"""Stage B of {matrix}: its promoted configurations, each held against its controls."""

from memkit import staged


@staged("{matrix}")
def test_{name}(scores):
    return scores
'''


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of the command line.

    Attributes:
        matrix: the file.
        listing: only say what there is.
        screening: stop after stage A.
        output: the folder of the artefacts.
        store: of the trained runs.
        data: the folder of the data; None: as in pytest.
        device: "cpu", "cuda" or "mps".
        workers: as of pytest's ``-n``.
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
    """Run pytest in a process of its own, and return its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=dict(environment)).returncode


def run(options: Options, register: Callable[[list[str]], object]) -> int:
    """Run a study as far as asked.

    Args:
        register: registers the claims that pytest collects by these arguments.

    Returns:
        The exit code: 0 done; 1 a claim is INCOMPLETE, a seed failed, or a verdict that was registered did not come.
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
        promotion,
        screen,
        train_lacking,
    )

    with _data(options.data), _listening(options.store), importable(options.matrix.parent):
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
        failed = train_lacking(matrix, store, executor=_executor(options), say=_say)
        for cohort, result in failed:
            names = [n for n, c in matrix.configurations.items() if c.recipe.digest == cohort.training.digest]
            print(f"memkit: {matrix.path.name}: {listed(names)}: {result.reason}", file=sys.stderr)
            if result.details:
                print(result.details, file=sys.stderr)
        if failed:
            print("memkit: nothing was promoted, since the screening is not complete", file=sys.stderr)
            return 1
        scores = screen(matrix, store, device=options.device)
        check_bounds(matrix, scores)
        promoted = promotion(matrix, scores)
        changed = promoted.save(matrix.promoted_path)
        print(screening_table(promoted))
        print(f"{matrix.promoted_path}: {'written; keep it under version control' if changed else 'as it was'}")
        output = options.output
        if options.screening:
            evidence, code = _confirmed_before(matrix, promoted, output), 0
        else:
            check_arms(matrix, promoted.promoted, device=options.device)
            evidence, code = _confirm(matrix, promoted, options, store, output, register)
        runs = write_runs(matrix, promoted, evidence, store, output, device=options.device, say=_say)
        write_tables(matrix, promoted, evidence, runs, output)
        write_whole(output / "report.md", report(matrix, promoted, evidence, runs))
        print(output / "report.md")
        return code


@contextmanager
def _listening(store: Store) -> Iterator[None]:
    """Note what is opened below the project, since scores may depend on it."""
    opened = Opened(store.files.root).listen() if store.files is not None else None
    try:
        if opened is not None:
            opened.leave_out(store.root)
        yield
    finally:
        if opened is not None:
            opened.close()


def _confirm(
    matrix: Matrix,
    promoted: Promotion,
    options: Options,
    store: Store,
    output: Path,
    register: Callable[[list[str]], object],
) -> tuple[Evidence, int]:
    """Run stage B: register the claims and decide them; return their evidence and the exit code."""
    test = write_test(matrix)
    shared = [str(test), "--memkit-with-sweeps", f"--memkit-device={options.device}"]
    # A URL may hold what does not belong on a command line, so it goes by the environment.
    shared += [f"--memkit-store={store.root}"] if store.remote is None else []
    shared += [f"--memkit-data={options.data.resolve()}"] if options.data else []
    register(shared)
    sys.stdout.flush()
    output.mkdir(parents=True, exist_ok=True)
    file = (output / "evidence.json").resolve()
    before = file.stat().st_mtime_ns if file.is_file() else None
    arguments = [*shared, f"--memkit-evidence={file}", "-n", options.workers]
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    environment |= {"MEMKIT_STORE": store.remote.url} if store.remote is not None else {}
    code = run_pytest(arguments, environment)
    if not file.is_file() or file.stat().st_mtime_ns == before:
        raise MemkitError(f"stage B left no evidence (pytest's exit code {code}); pytest's reason stands above")
    evidence = load(file)
    ids = {f"{matrix.study}/{name}" for name in promoted.promoted}
    own = [entry for entry in evidence.claims if entry.claim.id in ids]
    if lost := sorted(ids - {entry.claim.id for entry in own}):
        raise MemkitError(f"{test} measures no claim {lost[0]!r}; let it have @staged({matrix.path.name!r}) on a test")
    bad = any(e.verdict is Verdict.INCOMPLETE or e.failures or e.gate.outcome == "failed" for e in own)
    return evidence, 1 if bad or code not in (0, 1) else code


def _confirmed_before(matrix: Matrix, promoted: Promotion, output: Path) -> Evidence | None:
    """Return the evidence that an earlier run left, where it is of the claims that would be made now."""
    from memkit.study.staged import claim_of_configuration

    file = output / "evidence.json"
    if not file.is_file():
        return None
    evidence = load(file)
    found = {entry.claim.id: entry.claim.to_json() for entry in evidence.claims}
    for name in promoted.promoted:
        claim = claim_of_configuration(matrix, name, cells=len(promoted.promoted)).to_json()
        old = found.get(claim["id"], {})
        if any(claim[part] != old.get(part) for part in ("arms", "contrasts", "cells")):
            return None
    return evidence


def write_test(matrix: Matrix) -> Path:
    """Return the test file of stage B's claims: one beside the matrix that names it, or a new one."""
    folder, name = matrix.path.parent, matrix.path.name
    names_it = re.compile(rf"\bstaged\(\s*[\"']{re.escape(name)}[\"']\s*\)")
    for file in sorted(folder.glob("test_*.py")):
        if names_it.search(file.read_text(encoding="utf-8")):
            return file
    stem = re.sub("[^0-9a-zA-Z]+", "_", matrix.path.stem)
    file = next(
        candidate
        for candidate in (folder / f"test_{stem}.py", *(folder / f"test_{stem}_staged{i or ''}.py" for i in range(100)))
        if not candidate.exists()
    )
    write_whole(file, _TEST.format(matrix=name, name=stem))
    print(f"{file}: written; it is yours to keep and to change")
    return file


def _python_path() -> str:
    """Return PYTHONPATH for pytest's processes: this one's and the current directory, as in ``python -m pytest``."""
    return os.pathsep.join(path for path in [os.environ.get("PYTHONPATH", ""), os.getcwd()] if path)


@contextmanager
def _data(folder: Path | None) -> Iterator[None]:
    """Let tasks find their data in a folder meanwhile, in this process and those that it starts."""
    before = os.environ.get("MEMKIT_DATA")
    if folder is not None:
        if not folder.is_dir():
            raise MemkitError(f"--data {folder}: there is no such folder; name the one that holds the data")
        os.environ["MEMKIT_DATA"] = str(folder.resolve())
    try:
        yield
    finally:
        if folder is not None:
            os.environ.pop("MEMKIT_DATA")
            if before is not None:
                os.environ["MEMKIT_DATA"] = before


def _check_device(device: str, matrix: Matrix) -> None:
    from memkit.pytest_plugin.collection import check_training

    check_training(device, matrix.study)


def _executor(options: Options) -> Executor:
    """Return what trains, by pytest's ``-n``: with 0 this process, with ``auto`` one process per core."""
    workers = options.workers
    if workers in ("auto", "logical"):
        return LocalExecutor(device=options.device)
    if not workers.isdecimal():
        raise MemkitError(f"-n {workers}: give a number of processes, or auto")
    if int(workers) == 0:
        return InlineExecutor(device=options.device)
    return LocalExecutor(int(workers), device=options.device)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
