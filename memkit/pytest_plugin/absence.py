"""Registered claims that a run should have found: their file was collected without them, or is gone.

A run in which no claim was found asks here too, so nothing of the engine is imported.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memkit.errors import MemkitError, many
from memkit.pytest_plugin.controller import COLLECTED, REMOVED
from memkit.pytest_plugin.options import asked, root_of

if TYPE_CHECKING:
    from memkit.evidence.lock_file import Lock


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
        strict: the claims of a file that was skipped, or not collected where it should have been, count, too.
    """
    found = []
    for name, entry in sorted(lock.claims.items()):
        if name not in seen and entry.file:
            file = root_of(config) / entry.file
            if file.is_file():
                why = _missing_from(config, file, entry.file, strict=strict)
            # A run of other tests is not about claims.
            elif seen or strict or covers(config, file) or _by_testpaths(config):
                why = f"it is registered, and {entry.file} is gone"
            else:
                why = ""
            if why.startswith("it is registered"):
                why += f"; bring it back, or take it out of the lock: memkit register --remove {name}"
            if why:
                found.append(AbsentClaim(name, entry.file, why))
    return tuple(found)


def removed_claims(config: pytest.Config, lock: Lock) -> tuple[AbsentClaim, ...]:
    """Return the registered claims whose items a hook removed without reporting it; see :data:`REMOVED`."""
    return tuple(
        AbsentClaim(
            name,
            lock.claims[name].file,
            f"a hook removed {many(count, 'item')} of it without reporting them as deselected; let it call "
            "config.hook.pytest_deselected, or leave the claim alone",
        )
        for name, count in sorted(config.stash.get(REMOVED, {}).items())
        if name in lock.claims
    )


def _missing_from(config: pytest.Config, file: Path, name: str, *, strict: bool) -> str:
    """Why a claim counts as missing from a file that is there, or ""."""
    collected = config.stash.get(COLLECTED, {})
    if config.getoption("lf", False) or not covers(config, file):  # --lf leaves out what has not failed
        return ""
    reason = collected.get(file)
    if reason == "":
        return f"it is registered, and no longer in {name}"
    if not strict:
        return ""
    what = "was not collected, though it lies where claims were" if reason is None else f"was skipped: {reason}"
    return f"INCOMPLETE: {name} {what} (--memkit-strict)"


def _by_testpaths(config: pytest.Config) -> bool:
    """Return whether pytest collects what ``testpaths`` says; it skips folders there that no longer exist."""
    return getattr(config, "args_source", None) is pytest.Config.ArgsSource.TESTPATHS


def may_be_absent(config: pytest.Config, lock: Path) -> bool:
    """Return whether a run in which no claim was found should have found one of a lock."""
    try:
        claims: Mapping[str, Mapping[str, str]] = json.loads(lock.read_text(encoding="utf-8"))["claims"]
        files = {root_of(config) / str(entry["file"]) for entry in claims.values() if "file" in entry}
        return any(covers(config, file) or (_by_testpaths(config) and not file.is_file()) for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemkitError):
        return True  # whoever reads it with care says what is wrong


def covers(config: pytest.Config, file: Path) -> bool:
    """Return whether pytest was asked to collect all of a file: an argument names it, or a folder above it."""
    return any(whole and (file == place or place in file.parents) for place, whole in asked(config))
