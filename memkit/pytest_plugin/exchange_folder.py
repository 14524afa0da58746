"""The folder in which the processes of one run leave messages for one another."""

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
    """Make the folder where temporary files go, or in ``spare`` if there is no room; remove what killed runs left.

    Raises:
        MemkitError: there is no room in either.
    """
    for base in (_temporary(), spare):
        try:
            if base is None:
                continue
            base.mkdir(parents=True, exist_ok=True)
            _remove_left(base)
            folder = tempfile.mkdtemp(prefix=prefix(), dir=base)
            (Path(folder) / "probe").write_bytes(_PROBE)
        except OSError:
            continue
        return folder
    raise MemkitError(
        f"temporary files can be written neither to {_temporary() or 'the folder for them'} nor to {spare}; free space "
        "there, or set TMPDIR to a folder that has some"
    )


def prefix() -> str:
    """Return how the names of this process's temporary folders begin, by which a later run knows whose they are."""
    return f"{_mark()}{os.getpid()}-"


def remove_left() -> None:
    """Remove the temporary folders of processes of this machine that were killed."""
    if (base := _temporary()) is not None:
        with suppress(OSError):
            _remove_left(base)


def _remove_left(base: Path) -> None:
    for left in base.glob(f"{_mark()}*"):
        if _is_dead(left.name.removeprefix(_mark()).partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)


def _mark() -> str:
    return f"memkit-{re.sub(r'[^A-Za-z0-9]', '_', platform.node())}-"


def _temporary() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except OSError:  # no temporary folder can be written
        return None


def _is_dead(process: str) -> bool:
    """Return whether a process of this machine has ended, by its number; False where that cannot be found out."""
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
