"""What a process does that is killed while it writes. It loads no torch, and so starts at once."""

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
    """Save a run of these files, and be killed in the middle of one, or when all are written and not renamed yet."""
    write = store_module.write

    def written(path: Path, content: bytes, *, sync: bool = False) -> None:
        if path.name == moment:
            write(path, content[: len(content) // 2], sync=sync)
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content, sync=sync)

    run: Any = SimpleNamespace(seed=seed)
    store_module.run_to_files = lambda *given, **named: dict(files)
    store_module.write = written
    os.replace = _killed  # type: ignore[assignment]
    store.save(digest, {}, run, made={})


def killed_at(moment: str, path: Path, content: bytes) -> None:
    """Replace a file, and be killed when half of it is written ("write"), or all, but not renamed yet ("replace")."""
    write = files_module.write

    def written(path: Path, content: bytes, *, sync: bool = False) -> None:
        write(path, content[: len(content) // 2], sync=sync)
        _killed()

    if moment == "write":
        files_module.write = written
    else:
        os.replace = _killed  # type: ignore[assignment]
    files_module.write_whole(path, content)


def _killed(*given: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
