"""The provenance of evidence: where and how it was made.

The provenance decides nothing, so no error here may prevent the evidence from being written: a fact that cannot be
determined is recorded as unknown, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memkit.evidence.reports.words import UNKNOWN
from memkit.git import GitError, git
from memkit.pytest_plugin.plan import RunPlan
from memkit.pytest_plugin.settings import Settings
from memkit.store.remote import Remote

_PACKAGES = ("numpy", "scipy", "torch", "pytest")


def provenance(config: pytest.Config, settings: Settings, plan: RunPlan) -> dict[str, Any]:
    """Return where and how the evidence was made: name → fact, a JSON object."""
    import platform
    from importlib.metadata import version

    root = Path(settings.root)
    commit = _fact(lambda: _commit(root))
    has_commit = isinstance(commit, str) and not commit.startswith(UNKNOWN)
    return {
        "memkit": _fact(lambda: version("memkit-claims")),
        "python": _fact(platform.python_version),
        **_versions(),
        "platform": _fact(platform.platform),
        "device": settings.device,
        "calculated_on": dict(plan.compute_platform),
        "command": _fact(lambda: _command(config, settings)),
        "commit": commit,
        # Without a known commit, it is not known either whether the code differs from it.
        "dirty": _fact(lambda: _dirty(root)) if has_commit else commit,
        "lock": _fact(lambda: _lock_digest(settings)),
        "seeds": settings.seeds or "up to what each claim declares",
        "gate": settings.gate,
        "strict": settings.strict,
    }


def _fact(find: Callable[[], Any]) -> Any:
    """Return the result of ``find``, or a string that says why the fact is unknown."""
    try:
        fact = find()
    except Exception as error:  # any exception, since the evidence matters more
        fact = UNKNOWN + (" ".join(str(error).split())[:200] or type(error).__name__)
    # A command-line argument may contain bytes that are not valid text.
    return fact.encode("utf-8", "backslashreplace").decode() if isinstance(fact, str) else fact


def _versions() -> dict[str, Any]:
    """Return name → version for the packages that are installed."""
    from importlib.metadata import PackageNotFoundError, version

    def of(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    versions = {name: _fact(lambda name=name: of(name)) for name in _PACKAGES}  # type: ignore[misc]
    return {name: fact for name, fact in versions.items() if fact is not None}


def _lock_digest(settings: Settings) -> str | None:
    """Return the digest of the lock; None if there is no lock."""
    import hashlib

    return hashlib.sha256(settings.lock.read_bytes()).hexdigest()[:32] if settings.lock.is_file() else None


def _command(config: pytest.Config, settings: Settings) -> str:
    """Return the command as it was given, without the parts of a URL that may contain a password."""
    command = " ".join(["pytest", *map(str, config.invocation_params.args)])
    return command.replace(settings.shared, str(Remote(settings.shared))) if settings.shared else command


def _commit(root: Path) -> str | None:
    """Return the commit of the project; None if the project is not in a repository.

    Raises:
        GitError: git fails for any other reason.
    """
    try:
        return git(root, "rev-parse", "--verify", "HEAD").decode("ascii").strip()
    except GitError as error:
        if "not a git repository" in str(error):
            return None
        if "Needed a single revision" in str(error):
            raise GitError("there is no commit yet") from None
        raise


def _dirty(root: Path) -> bool:
    """Return whether any file differs from the commit."""
    return bool(git(root, "status", "--porcelain").strip())
