"""torchvision, which downloads the image data sets: nothing else here needs it, so it is imported only for that."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import importlib.util
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from memkit.errors import MemkitError
from memkit.tasks.images import datasets

_SCHEMAS: list[Any] = []
"""Kept, for what a Library has declared goes with it."""


def torchvision_datasets() -> Any:
    """The module ``torchvision.datasets``.

    Raises:
        MemkitError: torchvision is not installed, or cannot be imported beside this torch.
    """
    if importlib.util.find_spec("torchvision") is None:
        raise MemkitError(
            "data sets are downloaded through torchvision, which is not installed; install memkit with its extra "
            "[download], as in pip install 'path/to/memkit[download]'"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of images that it could not decode
            try:
                return importlib.import_module("torchvision.datasets")
            except RuntimeError:
                _declare()
                found = importlib.import_module("torchvision.datasets")
                print(f"memkit: {mismatch()}", file=sys.stderr)
                return found
    except (ImportError, OSError, RuntimeError) as error:
        raise MemkitError(f"torchvision cannot be imported beside torch {torch.__version__}: {_last(error)}") from error


def mismatch() -> str:
    """Say that torchvision was built for another torch, and what to install; memkit itself can do with it."""
    return (
        f"torchvision {version('torchvision')} was built for another build of torch than {torch.__version__}, so other "
        "packages that import it, such as transformers, fail; uninstall it, or install the one for this build, as in "
        "pip install torchvision --index-url https://download.pytorch.org/whl/cpu"
    )


def _declare() -> None:
    """Declare the two operators without which torchvision cannot be imported.

    PyPI's torchvision for Linux is built for CUDA. Beside a CPU build of torch its compiled part does not load, which
    would not matter for data sets; but while it is imported it attaches shape functions to two operators of that part,
    and ends with «operator torchvision::nms does not exist». Their schemas are enough for that. It is imported without
    them first, because where the compiled part does load, it declares them itself and must be the only one.
    """
    schemas: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _SCHEMAS.append(schemas)


def download(name: str, root: Path | None) -> None:
    """Bring a data set to a data root, if it is not there yet, and verify it; scikit-learn's need none.

    Raises:
        MemkitError: it cannot be downloaded, or what is there is not what was published.
    """
    folder = datasets.source(name).folder
    if folder and root is not None and datasets.missing(name, root):
        made = getattr(torchvision_datasets(), folder)
        root.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # torchvision prints what it downloads, and its progress
                made(str(root), download=True)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            raise MemkitError(
                f"the data set {name} could not be downloaded ({_last(error)}); where there is no network, copy "
                f"{folder}/raw from a machine that has it into {root}"
            ) from error
    datasets.load(name, root)


def download_file(address: str, path: Path) -> None:
    """Bring one file from an address to a path, through torchvision.

    Raises:
        MemkitError: it cannot be downloaded.
    """
    utils = torchvision_datasets().utils
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            utils.download_url(address, str(path.parent), path.name)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        raise MemkitError(
            f"{address} could not be downloaded ({_last(error)}); where there is no network, copy {path.name} from a "
            f"machine that has it into {path.parent}"
        ) from error


def _last(error: BaseException) -> str:
    """Return the last line of an error, which says what went wrong: torchvision first lists what it tried."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
