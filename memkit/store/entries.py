"""A trained run as files: writing, reading and verifying them, and packing them into one object.

::

    weights.safetensors   the state dict
    run.json              metrics, history, divergence and provenance
    recipe.json           the recipe, for readers
    manifest.json         version, a checksum of each file above, and the dependencies that the recipe does not cover

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

from memkit.store.dependencies import parse_dependencies
from memkit.store.verified_files import (
    DAMAGED,
    checked_count,
    checked_seconds,
    describe_damage,
    indented_json,
    parse_curve,
    parse_number,
    parse_object,
    typed_entry,
)

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

VERSION = 1
WEIGHTS, RUN, RECIPE, MANIFEST = "weights.safetensors", "run.json", "recipe.json", "manifest.json"
_COUNTS = ("steps", "parameters")
_METRICS = ("loss", *_COUNTS, "cpu_seconds")
"""The metrics that every trainer reports."""


class UnsupportedVersion(ValueError):
    """A run that is not damaged, but was written by another version of memkit."""


def run_to_files(
    digest: str,
    recipe: Mapping[str, Any],
    run: TrainedRun,
    *,
    made: Mapping[str, Any],
    session: str,
    depends: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """Return the files of a run: name → content; arguments as for :meth:`memkit.store.store.Store.save`."""
    from safetensors.torch import save as save_tensors

    files = {
        WEIGHTS: save_tensors(dict(run.state)),
        RUN: indented_json(
            {
                "metrics": {name: _plain(value) for name, value in run.metrics.items()},
                "history": [[step, _plain(loss)] for step, loss in run.history],
                "validation": [[step, _plain(loss), _plain(accuracy)] for step, loss, accuracy in run.validation],
                "diverged": run.diverged,
                "made": dict(made),
            }
        ),
        RECIPE: indented_json(recipe),
    }
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"version": VERSION, "run": [digest, run.seed], "session": session, "sha256": checksums}
    manifest |= {name: dict(record) for name, record in (("depends", depends), ("versions", versions)) if record}
    return {**files, MANIFEST: indented_json(manifest)}


def run_from_files(files: Mapping[str, bytes], seed: int) -> TrainedRun:
    """Return the run that was passed to :func:`run_to_files`.

    Raises:
        Exception: of any type, if the files do not have the expected form.
    """
    from safetensors.torch import load as load_tensors

    from memkit.training.trained_run import TrainedRun

    return TrainedRun(seed=seed, state=load_tensors(files[WEIGHTS]), **_parse_run(files[RUN]))


def _parse_run(content: bytes) -> dict[str, Any]:
    """Return the fields of a :class:`TrainedRun` that ``run.json`` contains.

    Raises:
        ValueError: if it does not have the expected form; this is possible even if its checksum matches.
    """
    run = parse_object(content)
    metrics = {name: parse_number(value) for name, value in typed_entry(run, "metrics", dict).items()}
    for name in _METRICS:
        typed_entry(metrics, name, object)
    for name in _COUNTS:
        checked_count(metrics[name])
    checked_seconds(metrics["cpu_seconds"])
    typed_entry(run, "made", dict)
    return {
        "metrics": metrics,
        "history": parse_curve(typed_entry(run, "history", list), parse_number),
        "validation": tuple(
            (checked_count(step), parse_number(loss), parse_number(accuracy))
            for step, loss, accuracy in run["validation"]
        ),
        "diverged": typed_entry(run, "diverged", str),
    }


def find_damage(entry: Path) -> str:
    """Return what is wrong with a run's folder, as the rest of a sentence that begins with its name; "" if nothing is.

    Weights are only compared with their checksum, since reading them would need torch.
    """
    try:
        _parse_run(read_verified(entry, [entry.parent.name, int(entry.name)])[RUN])
    except Exception as error:  # any exception: the data may come from another machine
        return describe_damage(error)
    return ""


def read_verified(entry: Path, run: list[str | int]) -> dict[str, bytes]:
    """Return the contents of an entry's files, each verified by its checksum.

    Args:
        entry: the folder of the run.
        run: the digest and the seed that the manifest must contain.
    """
    # Read the manifest first: another version may use other file names.
    contents = {MANIFEST: (entry / MANIFEST).read_bytes()}
    _check_manifest(contents, run)
    contents |= {name: (entry / name).read_bytes() for name in (WEIGHTS, RUN, RECIPE)}
    check_files(contents, run)
    return contents


def _check_manifest(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    manifest = parse_object(files[MANIFEST])
    if manifest["version"] != VERSION:
        raise UnsupportedVersion(f"has version {manifest['version']!r}; this memkit reads version {VERSION}")
    typed_entry(manifest, "session", str)
    for name in ("depends", "versions"):
        parse_dependencies(manifest.get(name, {}))
    if manifest["run"] != run:
        raise ValueError("it contains a different run from the one that its path names")
    return manifest


def check_files(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    """Check the files of an entry against its manifest, and return the manifest."""
    manifest = _check_manifest(files, run)
    for name in (WEIGHTS, RUN, RECIPE):
        if hashlib.sha256(files[name]).hexdigest() != manifest["sha256"][name]:
            raise ValueError(f"{DAMAGED}: the checksum of {name} does not match")
    return manifest


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the files of an entry as an uncompressed archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the files that were passed to :func:`pack`.

    Raises:
        ValueError: if the archive does not contain exactly the four files of a run, or if one of them is compressed or
            larger than the archive.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted((WEIGHTS, RUN, RECIPE, MANIFEST)):
            raise ValueError("it does not contain exactly the four files of a run")
        if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content) for member in members):
            raise ValueError("it contains a file that is compressed or larger than the archive")
        return {member.filename: archive.read(member) for member in members}


def _plain(value: float) -> float | str:
    """Return a number, or its name if it is nan or infinite, which JSON cannot represent."""
    return value if math.isfinite(value) else str(value)
