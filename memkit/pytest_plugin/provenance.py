"""Where and how evidence was made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from memkit.pytest_plugin.settings import Settings
from memkit.training.remote import Remote


def provenance(config: pytest.Config, settings: Settings) -> dict[str, Any]:
    """Where and how the evidence was made."""
    import hashlib
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str] = {"memkit": version("memkit-claims"), "python": platform.python_version()}
    for name in ("numpy", "scipy", "torch", "pytest"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    lock = settings.lock
    commit = _git(config.rootpath, "rev-parse", "HEAD")
    changes = _git(config.rootpath, "status", "--porcelain")
    return {
        **versions,
        "platform": platform.platform(),
        "device": settings.device,
        "command": _command(config, settings),
        "commit": commit,
        "dirty": bool(changes) if commit else None,
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest()[:32] if lock.is_file() else None,
        "seeds": settings.seeds or "up to what each claim declares",
        "gate": settings.gate,
        "strict": settings.strict,
    }


def _command(config: pytest.Config, settings: Settings) -> str:
    """As it was given, but for what a password may stand in."""
    command = " ".join(["pytest", *map(str, config.invocation_params.args)])
    return command.replace(settings.shared, str(Remote(settings.shared))) if settings.shared else command


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
