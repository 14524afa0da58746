"""The image data sets by name: pixels between 0 and 1, labels, and a checksum that is known without the data.

    digits         1,797 handwritten digits, 8×8, which come with scikit-learn
    mnist          70,000 handwritten digits, 28×28: the 60,000 for training, then the 10,000 for testing
    mnist-10k      only the 10,000 for testing
    fashion-mnist  70,000 pictures of clothes, 28×28, in the same order of parts as mnist

All except the digits are read from the data root, the folder in ``MEMKIT_DATA`` (pytest's option ``--data`` sets it),
in torchvision's layout: ``ROOT/MNIST/raw/t10k-images-idx3-ubyte``, ``ROOT/FashionMNIST/raw/…``, unpacked or as ``.gz``.

Every file is identified by the SHA-256 of its unpacked content, as one machine may have the archive and another its
content. A file with another checksum is an error; the data set does not count as missing.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import math
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from memkit.errors import MemkitError, suggestion


class Images(NamedTuple):
    """A data set; it is shared by all callers of :func:`load`, so it must not be changed in place.

    Attributes:
        pixels: float32 [N, height, width], 0 to 1.
        labels: int64 [N].
    """

    pixels: Tensor
    labels: Tensor


class Part(NamedTuple):
    """Two files of a data set: ``{name}-images-idx3-ubyte`` and ``{name}-labels-idx1-ubyte``.

    Attributes:
        size: the number of images.
        images, labels: SHA-256 of the unpacked files.
    """

    name: str
    size: int
    images: str
    labels: str


class Source(NamedTuple):
    """The source of a data set.

    Attributes:
        shape: height and width.
        scale: the pixel value that is mapped to 1.
        folder: its folder in the data root, named after torchvision's class; "" if it comes with scikit-learn.
        parts: its parts, in the order in which they are read.
    """

    shape: tuple[int, int]
    scale: int
    folder: str
    parts: tuple[Part, ...]


# The checksums of MNIST's test images and of all label files were computed from archives with the MD5 sums that are
# listed in torchvision; those of the three other files are the ones published by several projects that verify them.
_MNIST = (
    Part(
        "train",
        60_000,
        images="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        labels="65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    Part(
        "t10k",
        10_000,
        images="0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        labels="ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
_FASHION = (
    Part(
        "train",
        60_000,
        images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    Part(
        "t10k",
        10_000,
        images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
# The checksums are those of the images and of the labels as bytes.
_DIGITS = Part(
    "digits",
    1797,
    images="8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
    labels="8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
)
SOURCES = {
    "digits": Source((8, 8), 16, "", (_DIGITS,)),
    "mnist": Source((28, 28), 255, "MNIST", _MNIST),
    "mnist-10k": Source((28, 28), 255, "MNIST", _MNIST[1:]),
    "fashion-mnist": Source((28, 28), 255, "FashionMNIST", _FASHION),
}


def source(name: str) -> Source:
    """Return the source of a data set.

    Raises:
        MemkitError: there is no data set of that name.
    """
    if name not in SOURCES:
        raise MemkitError(f"there is no data set {name!r}{suggestion(name, SOURCES)}")
    return SOURCES[name]


def size(name: str) -> int:
    """Return the number of images of a data set."""
    return sum(part.size for part in source(name).parts)


def shape(name: str) -> tuple[int, int]:
    """Return the height and width of a data set's images."""
    return source(name).shape


def checksum(name: str) -> str:
    """Return the SHA-256 of the files' checksums, images before labels, in reading order: 64 hex digits."""
    digests = "".join(part.images + part.labels for part in source(name).parts)
    return hashlib.sha256(digests.encode()).hexdigest()


def data_root() -> Path | None:
    """Return the folder in ``MEMKIT_DATA``, or None if it is not set."""
    folder = os.environ.get("MEMKIT_DATA")
    return Path(os.path.abspath(os.path.expanduser(folder))) if folder else None


def missing(name: str, root: Path | None = None) -> str:
    """Return one sentence on how to get a data set that is not on this machine; "" if it is present.

    Args:
        root: the data root; None: :func:`data_root`.
    """
    folder = source(name).folder
    root = root or data_root()
    if not folder:
        is_installed = importlib.util.find_spec("sklearn") is not None
        advice = "install memkit with its extra [data], as in pip install 'path/to/memkit[data]'"
        return "" if is_installed else f"the data set {name} comes with scikit-learn; {advice}"
    if root is None:
        return (
            f"the data set {name} was not found: give the folder that contains {folder}/raw with --data DIR or "
            f"MEMKIT_DATA, or download it with `memkit data get {name} --to DIR`"
        )
    if absent := [file for file in _files(name) if _path(root, folder, file) is None]:
        return (
            f"the data set {name} is not in {root}: there is no {folder}/raw/{absent[0]}, nor its .gz; give another "
            f"folder with --data DIR or MEMKIT_DATA, or download it with `memkit data get {name} --to {root}`"
        )
    return ""


def load(name: str, root: Path | None = None) -> Images:
    """Return a data set, which is read once per process.

    Args:
        root: the data root; None: :func:`data_root`.

    Raises:
        MemkitError: there is no data set of this name, it is missing, or a file differs from the published one.
    """
    if message := missing(name, root):
        raise MemkitError(message)
    return _load(name, root or data_root())


@functools.cache
def _load(name: str, root: Path | None) -> Images:
    origin = source(name)
    parts = [_read(name, part, root) if origin.folder and root is not None else _digits(part) for part in origin.parts]
    pixels = torch.cat([images for images, _ in parts]).to(torch.float32).div_(origin.scale)
    return Images(pixels, torch.cat([labels for _, labels in parts]).to(torch.int64))


def _digits(part: Part) -> tuple[Tensor, Tensor]:
    """Return scikit-learn's digits as bytes: images 0 to 16 [N, 8, 8], labels [N]."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    for array, digest in ((images, part.images), (labels, part.labels)):
        if hashlib.sha256(array.tobytes()).hexdigest() != digest:
            raise MemkitError(
                "scikit-learn's digits differ from those that memkit expects; install another version of scikit-learn"
            )
    return torch.tensor(images), torch.tensor(labels)


def _read(name: str, part: Part, root: Path) -> tuple[Tensor, Tensor]:
    """Read the two files of a part, as bytes: images [N, height, width], labels [N]."""
    images, labels = (_path(root, source(name).folder, file) for file in _pair(part))
    assert images is not None
    assert labels is not None
    advice = f"delete it, and download it with `memkit data get {name} --to {root}`"
    return (
        torch.tensor(_idx(images, (part.size, *shape(name)), part.images, advice)),
        torch.tensor(_idx(labels, (part.size,), part.labels, advice)),
    )


def _idx(path: Path, shape: tuple[int, ...], digest: str, advice: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Read the array in an idx file: four bytes (0, 0, 8 for unsigned bytes, dimensions), the sizes, the elements."""
    content = _content(path, advice)
    header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
    if content[: len(header)] != header or len(content) != len(header) + math.prod(shape):
        raise MemkitError(f"{path} is not an idx file of {' × '.join(map(str, shape))} bytes; {advice}")
    if hashlib.sha256(content).hexdigest() != digest:
        raise MemkitError(f"{path} is not the published file, as its SHA-256 differs; {advice}")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _content(path: Path, advice: str) -> bytes:
    """Read the unpacked content of a file."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise MemkitError(f"{path} is not a complete .gz file; {advice}") from None
    except OSError as error:
        raise MemkitError(f"{path} cannot be read ({error.strerror})") from None


def _files(name: str) -> list[str]:
    """Return the names of a data set's files."""
    return [file for part in source(name).parts for file in _pair(part)]


def _pair(part: Part) -> tuple[str, str]:
    """Return the names of a part's files: images and labels."""
    return f"{part.name}-images-idx3-ubyte", f"{part.name}-labels-idx1-ubyte"


def _path(root: Path, folder: str, file: str) -> Path | None:
    """Return the path of a file, or else of its .gz; None if there is neither."""
    paths = (root / folder / "raw" / name for name in (file, f"{file}.gz"))
    return next((path for path in paths if path.is_file()), None)
