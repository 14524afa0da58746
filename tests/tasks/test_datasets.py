"""The image data sets: their content, the places where they are found, and the messages if something is wrong."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch

from memkit.errors import MemkitError
from memkit.tasks.images import datasets, vision
from memkit.tasks.images.datasets import Part, Source

SHAPE = (5, 2, 3)
PIXELS = bytes(range(30))
LABELS = bytes([3, 1, 4, 1, 5])
IMAGES_FILE = bytes([0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 3]) + PIXELS
LABELS_FILE = bytes([0, 0, 8, 1, 0, 0, 0, 5]) + LABELS


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace ``mnist-10k`` by a data set of five images; the value is the folder of its files in a data root."""
    digests = (hashlib.sha256(content).hexdigest() for content in (IMAGES_FILE, LABELS_FILE))
    part = Part("t10k", 5, *digests)
    monkeypatch.setitem(datasets.SOURCES, "mnist-10k", Source((2, 3), 255, "MNIST", (part,)))
    return Path("MNIST/raw")


def write(folder: Path, images: bytes = IMAGES_FILE, labels: bytes = LABELS_FILE, *, pack: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)):
        file = folder / (f"{name}.gz" if pack else name)
        file.write_bytes(gzip.compress(content) if pack else content)


def test_the_digits() -> None:
    pixels, labels = datasets.load("digits")
    assert (pixels.shape, pixels.dtype) == ((1797, 8, 8), torch.float32)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (pixels * 16 == (pixels * 16).round()).all()
    assert datasets.missing("digits") == ""
    assert datasets.load("digits") is datasets.load("digits")


def test_the_test_images_of_mnist(real_data: Path) -> None:
    pixels, labels = datasets.load("mnist-10k")
    assert (pixels.shape, pixels.dtype) == ((10_000, 28, 28), torch.float32)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_sizes_and_checksums_are_known_without_the_data() -> None:
    sizes = {name: (datasets.size(name), *datasets.shape(name)) for name in datasets.SOURCES}
    assert sizes == {
        "digits": (1797, 8, 8),
        "mnist": (70_000, 28, 28),
        "mnist-10k": (10_000, 28, 28),
        "fashion-mnist": (70_000, 28, 28),
    }
    # Checksums are part of the digests of recipes; with other ones, everything would be trained again.
    assert {name: datasets.checksum(name)[:16] for name in datasets.SOURCES} == {
        "digits": "5c3945570a149573",
        "mnist": "c65580678af93f1e",
        "mnist-10k": "fc4ad2928469b062",
        "fashion-mnist": "d1fd84a877f3b78f",
    }
    for call in datasets.size, datasets.shape, datasets.checksum, datasets.missing, datasets.load:
        with pytest.raises(MemkitError, match=r"^there is no data set 'mnst'; did you mean 'mnist'\?$"):
            call("mnst")


@pytest.mark.parametrize("pack", [False, True], ids=["unpacked", "packed"])
def test_idx_files(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: bool) -> None:
    write(tmp_path / toy, pack=pack)
    monkeypatch.setenv("MEMKIT_DATA", str(tmp_path))

    pixels, labels = datasets.load("mnist-10k")

    assert torch.equal(pixels, torch.arange(30, dtype=torch.float32).view(SHAPE) / 255)
    assert labels.tolist() == list(LABELS)
    assert datasets.load("mnist-10k") is datasets.load("mnist-10k", tmp_path)
    # The data set is cached for this data root, but not for another one.
    with pytest.raises(MemkitError, match="is not in"):
        datasets.load("mnist-10k", tmp_path / "elsewhere")


def test_parts_are_concatenated_in_order(tmp_path: Path, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = datasets.SOURCES["mnist-10k"].parts
    monkeypatch.setitem(datasets.SOURCES, "mnist", Source((2, 3), 10, "MNIST", (part, part._replace(name="train"))))
    write(tmp_path / toy)
    assert "MNIST/raw/train-images-idx3-ubyte" in datasets.missing("mnist", tmp_path)
    for kind in "images-idx3", "labels-idx1":
        file = tmp_path / toy / f"t10k-{kind}-ubyte"
        (tmp_path / toy / f"train-{kind}-ubyte.gz").write_bytes(gzip.compress(file.read_bytes()))

    pixels, labels = datasets.load("mnist", tmp_path)

    assert pixels.shape == (10, 2, 3)
    assert pixels.max() == torch.tensor(2.9)
    assert labels.tolist() == 2 * list(LABELS)
    assert datasets.checksum("mnist") != datasets.checksum("mnist-10k")


DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "another pixel": (
        {"images": IMAGES_FILE[:-1] + b"!"},
        "images-idx3-ubyte is not the published file, as its SHA-256 differs; delete it, and download it with "
        "`memkit data get mnist-10k --to ",
    ),
    "other labels": ({"labels": LABELS_FILE[:-1] + b"!"}, "labels-idx1-ubyte is not the published file"),
    "a half": ({"images": IMAGES_FILE[:-1]}, "images-idx3-ubyte is not an idx file of 5 × 2 × 3 bytes"),
    "more": ({"labels": LABELS_FILE + b"!"}, "labels-idx1-ubyte is not an idx file of 5 bytes"),
    "another shape": (
        {"images": IMAGES_FILE[:7] + bytes([6]) + IMAGES_FILE[8:]},
        "images-idx3-ubyte is not an idx file of 5 × 2 × 3 bytes",
    ),
    "a web page": ({"labels": b"<html>"}, "labels-idx1-ubyte is not an idx file of 5 bytes"),
    "nothing": ({"labels": b""}, "labels-idx1-ubyte is not an idx file of 5 bytes"),
    "another pixel, packed": (
        {"images": IMAGES_FILE[:-1] + b"!", "pack": True},
        "images-idx3-ubyte.gz is not the published file",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_file_that_differs_from_the_published_one(toy: Path, tmp_path: Path, case: str) -> None:
    written, sentence = DAMAGE[case]
    write(tmp_path / toy, **written)
    assert datasets.missing("mnist-10k", tmp_path) == ""  # so that no claim is skipped
    with pytest.raises(MemkitError) as raised:
        datasets.load("mnist-10k", tmp_path)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path))


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[5:], lambda content: b"x"])
def test_a_damaged_archive(toy: Path, tmp_path: Path, damage: Any) -> None:
    write(tmp_path / toy, pack=True)
    file = tmp_path / toy / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(MemkitError, match=r"images-idx3-ubyte\.gz is not a complete \.gz file; delete it"):
        datasets.load("mnist-10k", tmp_path)


def test_a_file_that_cannot_be_read(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / toy)

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MemkitError, match=r"images-idx3-ubyte cannot be read \(Permission denied\)$"):
        datasets.load("mnist-10k", tmp_path)


def test_how_to_get_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert datasets.data_root() is None
    sentence = datasets.missing("fashion-mnist")
    assert sentence.startswith(
        "the data set fashion-mnist was not found: give the folder that contains FashionMNIST/raw"
    )
    assert "`memkit data get fashion-mnist --to DIR`" in sentence

    monkeypatch.setenv("MEMKIT_DATA", str(tmp_path))
    sentence = datasets.missing("mnist")
    assert sentence.startswith(
        f"the data set mnist is not in {tmp_path}: there is no MNIST/raw/train-images-idx3-ubyte"
    )
    with pytest.raises(MemkitError) as raised:
        datasets.load("mnist")
    assert str(raised.value) == sentence


def test_the_data_root_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMKIT_DATA", "here/../data")
    assert datasets.data_root() == tmp_path / "data"
    monkeypatch.setenv("MEMKIT_DATA", "~/data")
    assert datasets.data_root() == Path.home() / "data"
    monkeypatch.setenv("MEMKIT_DATA", "")
    assert datasets.data_root() is None


def test_digits_without_scikit_learn_or_of_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = datasets.SOURCES["digits"]
    other = known._replace(parts=(known.parts[0]._replace(labels="0" * 64),))
    monkeypatch.setitem(datasets.SOURCES, "digits", other)
    with pytest.raises(MemkitError, match="scikit-learn's digits differ from those that memkit expects"):
        datasets.load("digits", tmp_path)  # another root, as the data set has been read already
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert datasets.missing("digits").startswith("the data set digits comes with scikit-learn; install memkit with")


def test_a_download_goes_through_torchvision(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def mnist(root: str, *, download: bool) -> None:
        calls.append((root, download))
        write(Path(root) / toy)

    monkeypatch.setattr(vision.torchvision_datasets(), "MNIST", mnist)
    for _ in "missing", "there":
        vision.download("mnist-10k", tmp_path / "new")
    assert calls == [(str(tmp_path / "new"), True)]

    write(tmp_path / "new" / toy, images=IMAGES_FILE[:-1] + b"!")
    datasets._load.cache_clear()
    with pytest.raises(MemkitError, match="is not the published file"):
        vision.download("mnist-10k", tmp_path / "new")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_download_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def unreachable(*arguments: Any, **options: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(vision.torchvision_datasets().mnist, "download_and_extract_archive", unreachable)
    with pytest.raises(MemkitError) as raised:
        vision.download(name, tmp_path)
    folder = datasets.source(name).folder
    assert str(raised.value) == (
        f"the data set {name} could not be downloaded (<urlopen error Name or service not known>); where there is no "
        f"network, copy {folder}/raw from a machine that has it into {tmp_path}"
    )


def test_a_torchvision_of_another_build_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = iter([RuntimeError("operator torchvision::nms does not exist"), "the module"])

    def imported(name: str) -> Any:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(vision.importlib, "import_module", imported)
    monkeypatch.setattr(vision, "_declare", lambda: None)
    assert vision.torchvision_datasets() == "the module"
    assert "was built for another build of torch than" in capsys.readouterr().err


def test_downloads_without_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MemkitError, match=r"torchvision, which is not installed; install memkit with its extra \[download\]"
    ):
        vision.download("mnist", tmp_path)
    assert not list(tmp_path.iterdir())
