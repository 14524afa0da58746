"""The folder through which the processes of one run exchange files."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from memkit.errors import MemkitError

_PROBE = bytes(1 << 16)


def make_exchange_folder(spare: Path) -> str:
    """Make an exchange folder, and remove those of runs that were killed.

    Args:
        spare: the parent folder to use if the system's folder for temporary files is full or missing.

    Returns:
        The path of the folder.

    Raises:
        MemkitError: neither parent folder has space.
    """
    for base in (_temporary_folder(), spare):
        try:
            if base is None:
                continue
            base.mkdir(parents=True, exist_ok=True)
            _remove_stale_folders_in(base)
            folder = tempfile.mkdtemp(prefix=folder_prefix(), dir=base)
            (Path(folder) / "probe").write_bytes(_PROBE)
        except OSError:
            continue
        return folder
    raise MemkitError(
        f"temporary files can be written neither to {_temporary_folder() or 'the system folder'} nor to {spare}; free "
        "space there, or set TMPDIR to a folder that has space"
    )


def folder_prefix() -> str:
    """Return the prefix of the names of this process's temporary folders, which names the machine and the process."""
    return f"{_machine_prefix()}{os.getpid()}-"


def remove_stale_folders() -> None:
    """Remove the temporary folders of killed processes of this machine."""
    if (base := _temporary_folder()) is not None:
        with suppress(OSError):
            _remove_stale_folders_in(base)


def _remove_stale_folders_in(base: Path) -> None:
    for folder in base.glob(f"{_machine_prefix()}*"):
        if _is_dead(folder.name.removeprefix(_machine_prefix()).partition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def _machine_prefix() -> str:
    return f"memkit-{re.sub(r'[^A-Za-z0-9]', '_', platform.node())}-"


def _temporary_folder() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # the system has no writable folder for temporary files
        return None


def _is_dead(process_id: str) -> bool:
    """Return whether a process of this machine has ended; False if this cannot be determined."""
    if not process_id.isdecimal():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
