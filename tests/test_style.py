"""The rules of docs/style.md that a machine can check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("memkit", "fixtures", "claims", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)
NO_VERB = ("What", "How", "Whether", "Of", "As", "Where", "Which", "Those", "By")


def docstrings(file: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring of a file, its functions and its classes."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        documented = isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if documented and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


@pytest.mark.parametrize("file", FILES)
def test_docstrings_begin_with_a_verb_or_a_noun(file: str) -> None:
    begins = re.compile(rf"({'|'.join(NO_VERB)})\b")
    found = [f"{file}:{line}: {text.splitlines()[0]}" for line, text in docstrings(file) if begins.match(text)]
    assert not found


def test_terms_are_unique_and_their_files_exist() -> None:
    page = (ROOT / "docs" / "style.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `(memkit/[\w/]+\.py)` \|$", page, flags=re.MULTILINE)
    assert len(rows) > 20
    terms = [term for term, _, _ in rows]
    assert len(set(terms)) == len(terms)
    assert all((ROOT / file).is_file() for _, _, file in rows)
