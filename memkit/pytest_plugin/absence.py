"""Registered claims that a run should have met: their file was collected without them, or is gone.

A run in which no claim was found asks here too, so nothing of the engine is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memkit.errors import MemkitError
from memkit.pytest_plugin.controller import COLLECTED
from memkit.pytest_plugin.options import root_of

if TYPE_CHECKING:
    from memkit.evidence.registration import Lock


@dataclass(frozen=True)
class AbsentClaim:
    """A registered claim that was not found where it should be.

    Attributes:
        name: its id.
        file: that it was registered from, relative to the project's root.
        why: in words that follow its id.
    """

    name: str
    file: str
    why: str


def absent_claims(config: pytest.Config, lock: Lock, seen: Set[str], *, strict: bool) -> tuple[AbsentClaim, ...]:
    """Return the claims of a lock that this run should have found.

    Args:
        seen: the ids of the claims that were found, also of those that the options exclude.
        strict: the claims of a file that was skipped count, too.
    """
    root, collected = root_of(config), config.stash.get(COLLECTED, {})
    found = []
    for name, entry in sorted(lock.claims.items()):
        if name in seen or not entry.file:
            continue
        file = root / entry.file
        remedy = f"bring it back, or take it out of the lock: memkit register --remove {name}"
        if not file.is_file():
            if seen or covers(config, file):  # a run of other tests is not about claims
                found.append(AbsentClaim(name, entry.file, f"it is registered, and {entry.file} is gone; {remedy}"))
        elif covers(config, file) and file in collected:
            if not collected[file]:
                why = f"it is registered, and no longer in {entry.file}; {remedy}"
                found.append(AbsentClaim(name, entry.file, why))
            elif strict:
                why = f"INCOMPLETE: {entry.file} was skipped: {collected[file]} (--memkit-strict)"
                found.append(AbsentClaim(name, entry.file, why))
    return tuple(found)


def may_be_absent(config: pytest.Config, lock: Path) -> bool:
    """Return whether a run in which no claim was found covers a file that the lock names."""
    try:
        claims: Mapping[str, Mapping[str, str]] = json.loads(lock.read_text(encoding="utf-8"))["claims"]
        files = {str(entry["file"]) for entry in claims.values() if "file" in entry}
        return any(covers(config, root_of(config) / file) for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemkitError):
        return True  # whoever reads it with care says what is wrong


def covers(config: pytest.Config, file: Path) -> bool:
    """Return whether pytest was asked to collect all of a file: an argument names it, or a folder above it."""
    here = config.invocation_params.dir
    asked = [(here / argument).resolve() for argument in config.args if "::" not in argument]
    return any(file == place or place in file.parents for place in asked)
