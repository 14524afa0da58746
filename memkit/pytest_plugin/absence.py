"""Registered claims that a run should have collected and did not: their file lacks them, or no longer exists.

A run without claims uses this module too, so it imports nothing of the engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memkit.errors import MemkitError, count_of
from memkit.pytest_plugin.controller import COLLECTED_FILES, REMOVED_ITEMS
from memkit.pytest_plugin.options import requested_paths, root_of

if TYPE_CHECKING:
    from memkit.evidence.lock_file import Lock


@dataclass(frozen=True)
class AbsentClaim:
    """A registered claim that the run should have collected and did not.

    Attributes:
        name: the id of the claim.
        file: the file that the claim was registered from, relative to the project's root.
        why: the reason why it counts as absent, a predicate that follows the id in a message.
    """

    name: str
    file: str
    why: str


def absent_claims(
    config: pytest.Config, lock: Lock, found_claims: Set[str], *, strict: bool
) -> tuple[AbsentClaim, ...]:
    """Return the claims of a lock that this run should have collected and did not.

    Args:
        found_claims: the ids of the claims that were found, including those that the options exclude.
        strict: whether the claims of a file that was skipped, or that pytest was told to ignore, count as absent, too.
    """
    absent = []
    for name, entry in sorted(lock.claims.items()):
        if name not in found_claims and entry.file:
            file = root_of(config) / entry.file
            if file.is_file():
                why = _reason_missing(config, file, entry.file, strict=strict)
            # Claims are not expected in a run of other tests.
            elif found_claims or strict or collects_all_of(config, file) or _uses_testpaths(config):
                why = f"it is registered, but {entry.file} no longer exists"
            else:
                why = ""
            if why.startswith("it is registered"):
                why += f"; restore it, or remove it from the lock with memkit register --remove {name}"
            if why:
                absent.append(AbsentClaim(name, entry.file, why))
    return tuple(absent)


def removed_claims(config: pytest.Config, lock: Lock) -> tuple[AbsentClaim, ...]:
    """Return the registered claims that lost items to a hook which did not report them as deselected."""
    return tuple(
        AbsentClaim(
            name,
            lock.claims[name].file,
            f"a hook removed {count_of(count, 'item')} of it without reporting them as deselected; let the hook call "
            "config.hook.pytest_deselected, or keep the claim's items",
        )
        for name, count in sorted(config.stash.get(REMOVED_ITEMS, {}).items())
        if name in lock.claims
    )


def _reason_missing(config: pytest.Config, file: Path, name: str, *, strict: bool) -> str:
    """Return the reason why a claim counts as missing from a file that exists, or ""."""
    if config.getoption("lf", False) or not collects_all_of(config, file):  # --lf omits what did not fail
        return ""
    skip_reason = config.stash.get(COLLECTED_FILES, {}).get(file)
    if skip_reason == "":
        return f"it is registered, but no longer in {name}"
    if not strict:
        return ""
    problem = "was not collected, although claims were registered from it"
    if skip_reason is not None:
        problem = f"was skipped: {skip_reason}"
    return f"INCOMPLETE: {name} {problem} (--memkit-strict)"


def _uses_testpaths(config: pytest.Config) -> bool:
    """Return whether pytest collects the folders of ``testpaths``, which ignores those that no longer exist."""
    return getattr(config, "args_source", None) is pytest.Config.ArgsSource.TESTPATHS


def may_miss_claims(config: pytest.Config, lock: Path) -> bool:
    """Return whether a run without claims should have collected a claim of a lock."""
    try:
        claims: Mapping[str, Mapping[str, str]] = json.loads(lock.read_text(encoding="utf-8"))["claims"]
        files = {root_of(config) / str(entry["file"]) for entry in claims.values() if "file" in entry}
        return any(collects_all_of(config, file) or (_uses_testpaths(config) and not file.is_file()) for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemkitError):
        return True  # the lock is read again with checks that report what is wrong with it


def collects_all_of(config: pytest.Config, file: Path) -> bool:
    """Return whether pytest was asked to collect a whole file: an argument names the file, or a folder above it."""
    return any(whole and (file == path or path in file.parents) for path, whole in requested_paths(config))
