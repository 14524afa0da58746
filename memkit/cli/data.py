"""``memkit data``: which data sets and corpora are here, and how to get the others."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from memkit.errors import MemkitError, nearest


def ls(options: argparse.Namespace) -> int:
    """``memkit data ls``: every data set and corpus, and where it is or how to get it."""
    _check_torch()
    from memkit.tasks import corpus
    from memkit.tasks.images import datasets

    root = options.data or datasets.data_root()
    rows = []
    for name, images in datasets.SOURCES.items():
        where = f"in {root / images.folder}" if images.folder and root else "in scikit-learn"
        rows.append((name, f"{datasets.size(name)} images", datasets.missing(name, root) or where))
    for name, source in corpus.SOURCES.items():
        where = f"in {root / source.file}" if source.file and root else "in Python itself"
        rows.append(
            (name, f"{source.characters or len(corpus.text(name))} characters", corpus.missing(name, root) or where)
        )
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, size, where in rows:
        print(f"{name:<{widths[0]}}  {size:>{widths[1]}}  {where}")
    return 0


def get(options: argparse.Namespace) -> int:
    """``memkit data get``: download a data set or a corpus, and verify it."""
    _check_torch()
    from memkit.tasks import corpus
    from memkit.tasks.images import datasets
    from memkit.tasks.images.vision import download, download_file

    name = options.name
    if name not in datasets.SOURCES and name not in corpus.SOURCES:
        known = [*datasets.SOURCES, *corpus.SOURCES]
        raise MemkitError(f"there is no data set {name!r}{nearest(name, known)}")
    text = corpus.SOURCES.get(name)
    place = text.file if text is not None else datasets.source(name).folder
    root: Path | None = options.to or datasets.data_root()
    if place and root is None:
        raise MemkitError(f"say where the data set {name} is to go: memkit data get {name} --to DIR")
    if text is None:
        download(name, root)
        size, own = f"{datasets.size(name)} images", "scikit-learn"
    else:
        if place and root is not None and corpus.missing(name, root):
            download_file(text.address, root / place)
        size, own = f"{len(corpus.text(name, root))} characters", "Python itself"
    print(f"{name}: {size} in {root / place if place and root else own}, verified")
    if place and root != datasets.data_root():
        print(f"for claims: pytest --data {root}, or MEMKIT_DATA={root}")
    return 0


def folder(text: str) -> Path:
    """Return a folder that the command line names."""
    return Path(text).expanduser()


def _check_torch() -> None:
    if importlib.util.find_spec("torch") is None:
        raise MemkitError(
            "data sets are read with torch; install memkit with its extras, as in "
            "pip install 'path/to/memkit[torch,data]'"
        )
