"""``memkit data``: list the data sets and corpora, or download one."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from memkit.errors import MemkitError, suggestion


def ls(options: argparse.Namespace) -> int:
    """``memkit data ls``: list every data set and corpus, with its location or how to get it."""
    _check_torch()
    from memkit.tasks import corpus
    from memkit.tasks.images import datasets

    root = options.data or datasets.data_root()
    rows = []
    for name, images in datasets.SOURCES.items():
        location = f"in {root / images.folder}" if images.folder and root else "in scikit-learn"
        rows.append((name, f"{datasets.size(name)} images", datasets.missing(name, root) or location))
    for name, source in corpus.SOURCES.items():
        location = f"in {root / source.file}" if source.file and root else "in Python itself"
        size = f"{source.characters or len(corpus.text(name))} characters"
        rows.append((name, size, corpus.missing(name, root) or location))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, size, location in rows:
        print(f"{name:<{widths[0]}}  {size:>{widths[1]}}  {location}")
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
        raise MemkitError(f"there is no data set {name!r}{suggestion(name, known)}")
    text = corpus.SOURCES.get(name)
    relative_path = text.file if text is not None else datasets.source(name).folder
    root: Path | None = options.to or datasets.data_root()
    if relative_path and root is None:
        raise MemkitError(f"the data set {name} needs a folder; name it: memkit data get {name} --to DIR")
    if text is None:
        download(name, root)
        size, built_in = f"{datasets.size(name)} images", "scikit-learn"
    else:
        if relative_path and root is not None and corpus.missing(name, root):
            download_file(text.address, root / relative_path)
        size, built_in = f"{len(corpus.text(name, root))} characters", "Python itself"
    print(f"{name}: {size} in {root / relative_path if relative_path and root else built_in}, verified")
    if relative_path and root != datasets.data_root():
        print(f"to use it in claims: pytest --data {root}, or MEMKIT_DATA={root}")
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
