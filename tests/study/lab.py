"""A small staged study for tests: the model of the documentation and a matrix that trains within a second."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from memkit.cli import main
from memkit.cli.claims import QUIET_OPTIONS
from memkit.study import command
from tests.inner import own_modules

DOCS = Path(__file__).parents[2] / "docs"
QUICK_START = (DOCS / "quick-start.md").read_text(encoding="utf-8")
STAGED = (DOCS / "staged.md").read_text(encoding="utf-8")

MATRIX = """
study: lab/xor
recipe: {task: "MODULE:task", model: "MODULE:Net", steps: 40, lr: 0.05}
examples: 200
configurations:
  linear: {hidden: false}
  plain: {}
  slow: {base: plain, over: {lr: [0.001, 0.1]}}
controls:
  linear: linear
  brief: {steps: 2}
screen: {by: accuracy, best: 1, always: [plain]}
confirm: {metric: accuracy, bounds: [0, 1], seeds: 8}
"""


def documented(beginning: str, language: str) -> str:
    """Return the code block of docs/staged.md that starts with ``beginning``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", STAGED, flags=re.DOTALL)
    return next(str(block) for block in blocks if block.startswith(beginning))


def write_project(folder: Path, matrix: str = MATRIX, module: str = "xor") -> Path:
    """Write the quick start's ``xor.py`` and a matrix, and return the path of the matrix."""
    code = re.search(r"`xor\.py`:\n\n```python\n(.*?)```", QUICK_START, flags=re.DOTALL)
    assert code is not None
    (folder / f"{module}.py").write_text(code[1], encoding="utf-8")
    path = folder / "xor.yaml"
    path.write_text(matrix.replace("MODULE", module), encoding="utf-8")
    return path


@dataclass(frozen=True)
class CommandResult:
    """The exit code of a command and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def study(folder: Path, *arguments: str) -> CommandResult:
    """Run ``memkit study xor.yaml`` in a folder, in this process; the pytest of stage B runs in it too."""
    return memkit(folder, "study", "xor.yaml", *arguments)


def memkit(folder: Path, *arguments: str) -> CommandResult:
    """Run a command of memkit in a folder, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run_pytest", lambda given, environment: _pytest(given))
        return _in(folder, lambda: main(arguments))


def run_pytest(folder: Path, *arguments: str) -> CommandResult:
    """Run pytest in a folder, in this process."""
    return _in(folder, lambda: _pytest([*arguments, "-n0"]))


def _in(folder: Path, run: Callable[[], int]) -> CommandResult:
    out, err = io.StringIO(), io.StringIO()
    with own_modules(), pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        code = run()
    return CommandResult(code, out.getvalue(), err.getvalue())


def _pytest(arguments: list[str]) -> int:
    with own_modules():
        return int(pytest.main([*arguments, *QUIET_OPTIONS, "--memkit-executor=inline"]))


def trained(folder: Path) -> list[Path]:
    """Return the manifests of the runs in the store."""
    return sorted((folder / ".memkit" / "runs").rglob("manifest.json"))
