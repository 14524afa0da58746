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
NOT_FIRST = ("What", "How", "Whether", "Of", "As", "Where", "Which", "Those", "By")
NOT_A_VERB = ("The", "A", "An", "This", "That", "These", "It", "Its", "One", "Two", "Each", "Every", "All", "Any", "No")
UNITS = "nats|seconds|microseconds|minutes|hours|values|numbers|bytes|MB|GB|operations|entries|measurements"
PER = "seed|token|character|image|claim|sequence|step|worker|epoch|second|layer|batch|item|arm|episode|key|process"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    # These quote metrics that registered claims name.
    if path.name not in ("binding.md", "growth.md", "intervention.md", "recall.md")
)


def docstrings(file: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each docstring of a file, its functions and its classes."""
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        documented = isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if documented and (text := ast.get_docstring(node)):
            yield getattr(node, "lineno", 1), text


@pytest.mark.parametrize("file", FILES)
def test_docstrings_begin_with_a_verb_or_a_noun(file: str) -> None:
    begins = re.compile(rf"({'|'.join(NOT_FIRST)})\b")
    found = [f"{file}:{line}: {text.splitlines()[0]}" for line, text in docstrings(file) if begins.match(text)]
    assert not found


@pytest.mark.parametrize("file", FILES)
def test_docstrings_of_functions_do_not_begin_with_a_noun(file: str) -> None:
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (text := ast.get_docstring(node)):
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            is_property = "property" in decorators or node.name.startswith("test_")
            if not is_property and text.split()[0] in NOT_A_VERB:
                found.append(f"{file}:{node.lineno}: {text.splitlines()[0]}")
    assert not found


@pytest.mark.parametrize("file", [*FILES, *PAGES])
def test_a_rate_is_written_with_per(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    texts = [text] if file.endswith(".md") else [docstring for _, docstring in docstrings(file)]
    # What is quoted or set as code is the name of something.
    prose = (re.sub(r"«[^»]*»|``.*?``|`[^`]*`|\"[^\"\n]*\"", "", text) for text in texts)
    assert not [found for text in prose for found in re.findall(rf"\b(?:{UNITS}) an? (?:{PER})\b", text)]


def test_terms_are_unique_and_their_files_exist() -> None:
    page = (ROOT / "docs" / "style.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `(memkit/[\w/]+\.py)` \|$", page, flags=re.MULTILINE)
    assert len(rows) > 20
    terms = [term for term, _, _ in rows]
    assert len(set(terms)) == len(terms)
    assert all((ROOT / file).is_file() for _, _, file in rows)
