"""What a process does that is killed while it writes a run. It loads no torch, and so starts at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from memkit.store import store as store_module
from memkit.store.store import Store


def killed_in(store: Store, digest: str, seed: int, files: Mapping[str, bytes], moment: str) -> None:
    """Save a run of these files, and be killed in the middle of one, or when all are written and not renamed yet."""
    write, rename = store_module.write, Path.rename

    def written(path: Path, content: bytes, *, sync: bool = True) -> None:
        if path.name == moment:
            write(path, content[: len(content) // 2], sync=sync)
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, content, sync=sync)

    def renamed(path: Path, target: Path) -> Path:
        if path.parent.name == "tmp":
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(path, target)

    run: Any = SimpleNamespace(seed=seed)
    store_module.files_of = lambda *given, **named: dict(files)
    store_module.write = written
    Path.rename = renamed  # type: ignore[method-assign, assignment]
    store.save(digest, {}, run, made={})
