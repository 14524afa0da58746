"""A small staged study, for tests: the documentation's model, and a matrix that trains in a second."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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
    """The code block of docs/staged.md that begins so."""
    blocks = re.findall(rf"```{language}\n(.*?)```", STAGED, flags=re.DOTALL)
    return next(str(block) for block in blocks if block.startswith(beginning))


def write_project(folder: Path, matrix: str = MATRIX, module: str = "xor") -> Path:
    """The quick start's ``xor.py`` and a matrix; returns the matrix's path."""
    code = re.search(r"`xor\.py`:\n\n```python\n(.*?)```", QUICK_START, flags=re.DOTALL)
    assert code is not None
    (folder / f"{module}.py").write_text(code[1], encoding="utf-8")
    path = folder / "xor.yaml"
    path.write_text(matrix.replace("MODULE", module), encoding="utf-8")
    return path


def study(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``memkit study xor.yaml`` in a folder."""
    command = [sys.executable, "-m", "memkit.cli", "study", "xor.yaml", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def trained(folder: Path) -> list[Path]:
    """The runs in the store."""
    return sorted((folder / ".memkit" / "runs").rglob("manifest.json"))
