"""Functions for a process that is killed while it writes; the module does not load torch, so that it starts fast."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from memkit import files as files_module
from memkit.store import store as store_module
from memkit.store.store import Store


def killed_in(store: Store, digest: str, seed: int, files: Mapping[str, bytes], moment: str) -> None:
    """Save a run of these files, and kill the process.

    Args:
        moment: the file in the middle of which it is killed; other values: it is killed before the files are renamed.
    """
    write = store_module.write

    def write_or_die(path: Path, content: bytes, *, sync: bool = False) -> None:
        if path.name == moment:
            write(path, content[: len(content) // 2], sync=sync)
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content, sync=sync)

    run: Any = SimpleNamespace(seed=seed)
    store_module.run_to_files = lambda *given, **named: dict(files)
    store_module.write = write_or_die
    os.replace = _kill  # type: ignore[assignment]
    store.save(digest, {}, run, made={})


def killed_at(moment: str, path: Path, content: bytes) -> None:
    """Replace a file, and kill the process when half of it is written ("write"), or before the renaming ("replace")."""
    write = files_module.write

    def write_half(path: Path, content: bytes, *, sync: bool = False) -> None:
        write(path, content[: len(content) // 2], sync=sync)
        _kill()

    if moment == "write":
        files_module.write = write_half
    else:
        os.replace = _kill  # type: ignore[assignment]
    files_module.write_whole(path, content)


def _kill(*given: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
