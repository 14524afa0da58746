"""A trained run as files: how they are made and read, verified, and packed into one object.

::

    weights.safetensors   the state dict
    run.json              metrics, history, divergence, how it was made
    recipe.json           the recipe in clear
    manifest.json         version, a checksum of each file above, and what the run depends on beside its recipe

Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memkit.store.dependencies import depends_of
from memkit.store.verified_files import DAMAGED, curve, dump, number, parsed, part, seconds, whole, why

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

VERSION = 1
WEIGHTS, RUN, RECIPE, MANIFEST = "weights.safetensors", "run.json", "recipe.json", "manifest.json"
_COUNTS = ("steps", "parameters")
_METRICS = ("loss", *_COUNTS, "cpu_seconds")
"""The metrics that every trainer reports of a run."""


class OtherVersion(ValueError):
    """The run is not damaged: another version of memkit wrote it."""


def files_of(
    digest: str,
    recipe: Mapping[str, Any],
    run: TrainedRun,
    *,
    made: Mapping[str, Any],
    session: str,
    depends: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """Return the files of a run; arguments as for :meth:`memkit.store.store.Store.save`."""
    from safetensors.torch import save as save_tensors

    files = {
        WEIGHTS: save_tensors(dict(run.state)),
        RUN: dump(
            {
                "metrics": {name: _plain(value) for name, value in run.metrics.items()},
                "history": [[step, _plain(loss)] for step, loss in run.history],
                "validation": [[at, _plain(loss), _plain(right)] for at, loss, right in run.validation],
                "diverged": run.diverged,
                "made": dict(made),
            }
        ),
        RECIPE: dump(recipe),
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"version": VERSION, "run": [digest, run.seed], "session": session, "sha256": sums}
    manifest |= {name: dict(part) for name, part in (("depends", depends), ("versions", versions)) if part}
    return {**files, MANIFEST: dump(manifest)}


def run_of(files: Mapping[str, bytes], seed: int) -> TrainedRun:
    """Return the run that :func:`files_of` was given; raise any exception where the files have another form."""
    from safetensors.torch import load as load_tensors

    from memkit.training.trained_run import TrainedRun

    return TrainedRun(seed=seed, state=load_tensors(files[WEIGHTS]), **_facts(files[RUN]))


def _facts(content: bytes) -> dict[str, Any]:
    """Return what ``run.json`` says of a run, in the types that are computed with.

    Raises:
        ValueError: it has another form. A checksum does not show this: the file was written so.
    """
    run = parsed(content)
    metrics = {name: number(value) for name, value in part(run, "metrics", dict).items()}
    for name in _METRICS:
        part(metrics, name, object)
    for name in _COUNTS:
        whole(metrics[name])
    seconds(metrics["cpu_seconds"])
    part(run, "made", dict)
    return {
        "metrics": metrics,
        "history": curve(part(run, "history", list), number),
        "validation": tuple((whole(at), number(loss), number(right)) for at, loss, right in run["validation"]),
        "diverged": part(run, "diverged", str),
    }


def check_entry(entry: Path) -> str:
    """Return what is wrong with the folder of a run, in words that follow its name; "" where all of it verifies.

    Weights are only compared with their checksum: to read them takes torch.
    """
    try:
        _facts(verified(entry, [entry.parent.name, int(entry.name)])[RUN])
    except Exception as error:  # any exception: the data may come from elsewhere
        return why(error)
    return ""


def verified(entry: Path, run: list[str | int]) -> dict[str, bytes]:
    """Return the contents of an entry's files, each verified by its checksum."""
    # The manifest first: in another version, the other files may have other names.
    contents = {MANIFEST: (entry / MANIFEST).read_bytes()}
    _check_manifest(contents, run)
    contents |= {name: (entry / name).read_bytes() for name in (WEIGHTS, RUN, RECIPE)}
    check(contents, run)
    return contents


def _check_manifest(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    manifest = parsed(files[MANIFEST])
    if manifest["version"] != VERSION:
        raise OtherVersion(f"has version {manifest['version']!r}, this memkit writes {VERSION}")
    part(manifest, "session", str)
    for name in ("depends", "versions"):
        depends_of(manifest.get(name, {}))
    if manifest["run"] != run:
        raise ValueError("holds another run than its place says")
    return manifest


def check(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    """Check the files of an entry against its manifest, and return the manifest."""
    manifest = _check_manifest(files, run)
    for name in (WEIGHTS, RUN, RECIPE):
        if hashlib.sha256(files[name]).hexdigest() != manifest["sha256"][name]:
            raise ValueError(f"{DAMAGED}: the checksum of {name} does not verify")
    return manifest


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return the files of an entry as one object, not compressed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    """Return the files that :func:`packed` was given.

    Raises:
        ValueError: the names are not the four of a run, or a file is compressed or larger than the object.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted((WEIGHTS, RUN, RECIPE, MANIFEST)):
            raise ValueError("holds other files than a run has")
        if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content) for member in members):
            raise ValueError("is packed otherwise than a run is")
        return {member.filename: archive.read(member) for member in members}


def _plain(value: float) -> float | str:
    """Return a number, or its name where it is nan or infinite, which JSON cannot express."""
    return value if math.isfinite(value) else str(value)
