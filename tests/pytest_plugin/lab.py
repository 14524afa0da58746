"""Small suites of claims for the plugin's tests, with fixed numbers, so that every verdict is known in advance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.inner import command

HEAD = """
    import math, os, pathlib
    import pytest
    from memkit import Contrast, claim

    HERE = pathlib.Path(__file__).parent

    def ran(name, seed):
        with (HERE / "ran.txt").open("a") as file:
            file.write(f"{name} {seed}\\n")
"""

CLAIM = """
    @claim(
        "lab/{name}",
        "The statement of {name}.",
        arms=("treatment", "control"),
        contrasts=[Contrast("treatment", over="control", metric="score", bounds=(0, 1))],
        deterministic=True,
        {options}
    )
    def test_{name}(seed):
        ran("{name}", seed)
        {body}
        return {{"treatment": {treatment}, "control": {control}}}
"""


INLINE = "--memkit-executor=inline"
"""Trains in the process that runs the tests, since starting another process takes seconds."""


def canned(name: str, treatment: str = "0.9", control: str = "0.1", *, body: str = "pass", options: str = "") -> str:
    """Return the source of one claim; the expressions may use ``seed``, and ``body`` runs before them."""
    return CLAIM.format(name=name, treatment=treatment, control=control, body=body, options=options)


_LOCKS: dict[tuple[str, ...], str] = {}


def write_suite(
    pytester: pytest.Pytester, *claims: str, register: bool = True, more: tuple[str, ...] | None = None
) -> None:
    """Write the claims to one test file, ``more`` of them to a second one, and register them all."""
    pytester.makepyfile(test_lab=HEAD + "".join(claims))
    if more is not None:
        pytester.makepyfile(test_more=HEAD + "".join(more))
    if register:
        register_suite(pytester, *claims, *(more or ()))


def register_suite(pytester: pytest.Pytester, *sources: str) -> None:
    """Register claims with ``memkit register``, or with the stored lock of an earlier suite of the same source."""
    lock = pytester.path / "claims.lock"
    if lock.exists():
        register_claims(pytester)
    elif sources in _LOCKS:
        lock.write_text(_LOCKS[sources], encoding="utf-8")
    else:
        register_claims(pytester)
        _LOCKS[sources] = lock.read_text(encoding="utf-8")


def register_claims(pytester: pytest.Pytester) -> pytest.RunResult:
    """Run ``memkit register``, and check that it succeeds."""
    result = command(pytester, "register")
    assert result.ret == 0, result.stderr.str()
    return result


def evidence(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return claim id → its part of the evidence file."""
    data = json.loads((pytester.path / "reports" / "evidence.json").read_text(encoding="utf-8"))
    return {entry["claim"]["id"]: entry for entry in data["claims"]}


def verdict(pytester: pytest.Pytester, name: str) -> str:
    """Return the verdict of ``lab/name`` in the evidence file."""
    result: str = evidence(pytester)[f"lab/{name}"]["judgement"]["verdict"]
    return result


def ran(path: Path) -> list[str]:
    """Return the tests that were run, as lines "name seed", and reset the record."""
    file = path / "ran.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines
