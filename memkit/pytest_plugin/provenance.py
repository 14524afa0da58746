"""The provenance of evidence: where and how it was made.

Nothing here decides anything, so nothing here may cost the evidence: a fact that cannot be found out is unknown, and
the reason stands in its place.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.reports.words import UNKNOWN
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.store.remote import Remote

_PATIENCE = 10  # seconds
_PACKAGES = ("numpy", "scipy", "torch", "pytest")


def provenance(config: pytest.Config, settings: Settings, plan: RunPlan) -> dict[str, Any]:
    """Return where and how the evidence was made."""
    import platform
    from importlib.metadata import version

    root = Path(settings.root)
    commit = _fact(lambda: _commit(root))
    known = isinstance(commit, str) and not commit.startswith(UNKNOWN)
    return {
        "memkit": _fact(lambda: version("memkit-claims")),
        "python": _fact(platform.python_version),
        **_versions(),
        "platform": _fact(platform.platform),
        "device": settings.device,
        "calculated_on": dict(plan.calculated_on),
        "command": _fact(lambda: _command(config, settings)),
        "commit": commit,
        # Where the commit is not known, neither is what differs from it.
        "dirty": _fact(lambda: _dirty(root)) if known else commit,
        "lock": _fact(lambda: _digest(settings)),
        "seeds": settings.seeds or "up to what each claim declares",
        "gate": settings.gate,
        "strict": settings.strict,
    }


def _fact(find: Callable[[], Any]) -> Any:
    """Return what ``find`` returns, or a text that says why it is unknown."""
    try:
        found = find()
    except Exception as error:  # whatever it is, the evidence matters more
        found = UNKNOWN + (" ".join(str(error).split())[:200] or type(error).__name__)
    # An argument may hold bytes that are not text.
    return found.encode("utf-8", "backslashreplace").decode() if isinstance(found, str) else found


def _versions() -> dict[str, Any]:
    """Return the versions of the packages that are installed: name → version."""
    from importlib.metadata import PackageNotFoundError, version

    def of(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    found = {name: _fact(lambda name=name: of(name)) for name in _PACKAGES}  # type: ignore[misc]
    return {name: said for name, said in found.items() if said is not None}


def _digest(settings: Settings) -> str | None:
    """Return the digest of the lock; None where there is no lock."""
    import hashlib

    return hashlib.sha256(settings.lock.read_bytes()).hexdigest()[:32] if settings.lock.is_file() else None


def _command(config: pytest.Config, settings: Settings) -> str:
    """Return the command as it was given, without the parts of a URL that may hold a password."""
    command = " ".join(["pytest", *map(str, config.invocation_params.args)])
    return command.replace(settings.shared, str(Remote(settings.shared))) if settings.shared else command


def _commit(root: Path) -> str | None:
    """Return the commit of the project; None where it is in no repository."""
    try:
        return _git(root, "rev-parse", "--verify", "HEAD").decode("ascii").strip()
    except _Refused as error:
        if "not a git repository" in str(error):
            return None
        if "Needed a single revision" in str(error):
            raise _Refused("there is no commit yet") from None
        raise


def _dirty(root: Path) -> bool:
    """Return whether anything differs from the commit."""
    return bool(_git(root, "status", "--porcelain").strip())


class _Refused(Exception):
    """Git has refused, or could not be run; the message says why."""


def _git(folder: Path, *arguments: str) -> bytes:
    """Return what git prints, in bytes: the name of a file need not be text."""
    # In English, whatever the user's language; and a query must not write or start anything.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_PATIENCE, check=True, env=environment)
    except subprocess.TimeoutExpired:
        raise _Refused(f"git {arguments[0]} took longer than {_PATIENCE} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "backslashreplace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise _Refused(said or f"git {arguments[0]} ended with {error.returncode}") from None
    except OSError as error:
        raise _Refused(f"git could not be run ({error.strerror})") from None
    return done.stdout
