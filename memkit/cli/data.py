"""``memkit data``: which data sets are here, and how to get the others."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from memkit.errors import MemkitError


def ls(options: argparse.Namespace) -> int:
    """``memkit data ls``: every data set, and where it is or how to get it."""
    _check_torch()
    from memkit.tasks.images import datasets

    width = max(map(len, datasets.SOURCES))
    root = options.data or datasets.data_root()
    for name, source in datasets.SOURCES.items():
        where = f"in {root / source.folder}" if source.folder and root else "in scikit-learn"
        print(f"{name:<{width}}  {datasets.size(name):>6} images  {datasets.missing(name, root) or where}")
    return 0


def get(options: argparse.Namespace) -> int:
    """``memkit data get``: download a data set, and verify it."""
    _check_torch()
    from memkit.tasks.images import datasets
    from memkit.tasks.images.vision import download

    name, folder = options.name, datasets.source(options.name).folder
    root: Path | None = options.to or datasets.data_root()
    if folder and root is None:
        raise MemkitError(f"say where the data set {name} is to go: memkit data get {name} --to DIR")
    download(name, root)
    where = f"in {root / folder}" if folder and root else "in scikit-learn"
    print(f"{name}: {datasets.size(name)} images {where}, verified")
    if folder and root != datasets.data_root():
        print(f"for claims: pytest --data {root}, or MEMKIT_DATA={root}")
    return 0


def folder(text: str) -> Path:
    """A folder that the command line names."""
    return Path(text).expanduser()


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MemkitError(
            "data sets are read with torch; install memkit with its extras, as in "
            "pip install 'path/to/memkit[torch,data]'"
        )
