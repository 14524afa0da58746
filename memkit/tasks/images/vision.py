"""Downloads through torchvision, which is imported only for this purpose."""

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
"""Libraries of declared operators, kept alive because their declarations are removed with them."""


def torchvision_datasets() -> Any:
    """Return the module ``torchvision.datasets``.

    Raises:
        MemkitError: torchvision is not installed, or cannot be imported with this version of torch.
    """
    if importlib.util.find_spec("torchvision") is None:
        raise MemkitError(
            "data sets are downloaded through torchvision, which is not installed; install memkit with its extra "
            "[download], as in pip install 'path/to/memkit[download]'"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about image decoders that are missing
            try:
                return importlib.import_module("torchvision.datasets")
            except RuntimeError:
                _declare()
                module = importlib.import_module("torchvision.datasets")
                print(f"memkit: {mismatch()}", file=sys.stderr)
                return module
    except (ImportError, OSError, RuntimeError) as error:
        raise MemkitError(
            f"torchvision cannot be imported with torch {torch.__version__}: {_last_line(error)}"
        ) from error


def mismatch() -> str:
    """Return a sentence on torchvision being built for another torch, and what to install; memkit still works."""
    return (
        f"torchvision {version('torchvision')} was built for another build of torch than {torch.__version__}, so other "
        "packages that import it, such as transformers, fail; uninstall it, or install the one for this build, as in "
        "pip install torchvision --index-url https://download.pytorch.org/whl/cpu"
    )


def _declare() -> None:
    """Declare the two operators without which torchvision cannot be imported.

    PyPI's torchvision for Linux is built for CUDA. With a CPU build of torch its compiled part does not load. Data sets
    would not need it, but the import registers shape functions for two of its operators, and fails with "operator
    torchvision::nms does not exist". Declaring the schemas of the two is enough. The first attempt is made without
    them, because a compiled part that does load declares them itself, and a second declaration would be an error.
    """
    schemas: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            schemas.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _SCHEMAS.append(schemas)


def download(name: str, root: Path | None) -> None:
    """Download a data set to a data root, unless it is there already, and verify it.

    The data sets that come with scikit-learn are only verified.

    Raises:
        MemkitError: the data set cannot be downloaded, or a file differs from the published one.
    """
    folder = datasets.source(name).folder
    if folder and root is not None and datasets.missing(name, root):
        dataset_class = getattr(torchvision_datasets(), folder)
        root.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # torchvision prints the progress of its downloads
                dataset_class(str(root), download=True)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            raise MemkitError(
                f"the data set {name} could not be downloaded ({_last_line(error)}); where there is no network, copy "
                f"{folder}/raw from a machine that has it into {root}"
            ) from error
    datasets.load(name, root)


def download_file(address: str, path: Path) -> None:
    """Download one file from an address to a path, through torchvision.

    Raises:
        MemkitError: the file cannot be downloaded.
    """
    utils = torchvision_datasets().utils
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            utils.download_url(address, str(path.parent), path.name)
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        raise MemkitError(
            f"{address} could not be downloaded ({_last_line(error)}); where there is no network, copy {path.name} "
            f"from a machine that has it into {path.parent}"
        ) from error


def _last_line(error: BaseException) -> str:
    """Return the last line of an error, which names the cause: torchvision lists its attempts before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
