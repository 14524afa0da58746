"""Stored measurements of claims' tests for each seed, so that a run in which nothing changed need not measure again.

The key covers what is known before the test runs, except the seed: code, recipes, versions, the device, declared data
(:mod:`memkit.pytest_plugin.measurement_keys`). The files that are read during the measurement are stored beside it,
with their checksums (:mod:`memkit.store.dependencies`). There is one file per key, with one line per seed::

    {"seed": 3, "sha256": "…", "depends": {"table.csv": "sha256:…"}, "content": {…}}

A line is valid if the files that it names have the checksums that it records, and if no other file that a line of the
key names has changed. The second condition is needed because Python opens a module's file at the first import only: of
the seeds that one process measures, the first one's line may be the only one to name it. Lines are only appended, each
in one system call, so several processes can write to one file. A seed has several lines if it was measured again
(``--memkit-fresh``); the first valid one counts. A line with the content null revokes the seed's lines before it, for
example because the test failed in its teardown. At a URL, each measurement is a separate object.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, MemkitWarning, warn
from memkit.files import remove_all
from memkit.store.dependencies import ProjectFiles, parse_dependencies
from memkit.store.remote import Remote
from memkit.store.store import Store
from memkit.store.verified_files import (
    DAMAGED,
    UNUSABLE_FILE,
    append_line,
    describe_damage,
    from_bytes,
    parse_object,
    read_regular_file,
    to_bytes,
    typed_entry,
)

_LINE = re.compile(
    rb'\{"seed": (?P<seed>\d{1,20}), "sha256": "(?P<sha256>[0-9a-f]{64})", '
    rb'(?P<text>(?:"depends": (?P<depends>\{[^{}]*\}), )?"content": (?P<content>.*))\}'
)
_SEED = re.compile(rb'^\{"seed": (\d{1,20}), ', re.MULTILINE)
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)
_DEPENDS = b'", "depends": {'


def measurement_key(content: Mapping[str, Any]) -> str:
    """Return a key, 32 hex digits, for everything that a claim's measurements depend on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_measurement(store: Store, key: str, seed: int) -> Any:
    """Return the first valid measurement of a seed under a key, or None; see :func:`load_measurements`."""
    return next(iter(load_measurements(store, key, seed)), None)


def load_measurements(store: Store, key: str, seed: int) -> list[Any]:
    """Return the valid measurements of a seed under a key, in order; a damaged one is skipped, with a warning."""
    path = _file(store, key)
    try:
        lines = read_regular_file(path).split(b"\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        # These errors would occur again: a folder, a pipe or a file without permission stands in the place of the file.
        if isinstance(error, (IsADirectoryError, NotADirectoryError, PermissionError)) or error.errno in UNUSABLE_FILE:
            folder = Path(path).parent
            remove_all(Path(path) if os.path.isdir(folder) else folder)
        _warn(path, seed, describe_damage(error))
        return []
    named_files = _named_files(store, lines)
    damage: dict[int, str] = {}  # number of the line → what is wrong with it
    measurements, has_readable_line = list[Any](), False
    for number, line in enumerate(lines):
        match = _SEED.match(line)
        if not line.strip() or (match is not None and int(match[1]) != seed):
            continue
        try:
            _, depends, content = _parse_line(line)
        except ValueError as error:
            # Its seed cannot be read either, so it may be this one. The last line may only be incomplete, because it
            # is being written, or because its writer was killed.
            if number < len(lines) - 1:
                damage[number] = str(error)
            continue
        has_readable_line = True
        if content is None:
            measurements.clear()
        elif not named_files.changed(depends):
            measurements.append(content)
    if damage and not has_readable_line:
        # Blank the lines, so that there is one warning only, and before it, because it may end the run as an error.
        _blank(path, lines, damage)
        _warn(path, seed, next(iter(damage.values())))
        return []
    if not measurements and store.remote is not None:
        fetched = _fetch(store, store.remote, key, seed)
        if fetched is not None:
            measurements.append(fetched)
    return measurements


def known_files(store: Store, key: str) -> dict[str, str]:
    """Return file → present checksum for all files that lines of a key name; a new line names these, too."""
    return dict(_named_files(store, _lines(store, key)).checksums)


def changed_files(store: Store, key: str) -> dict[int, str]:
    """Return seed → file, for the seeds whose measurements are all invalid because that file has changed."""
    lines = _lines(store, key)
    named_files = _named_files(store, lines)
    if not named_files.checksums:
        return {}
    changed: dict[int, list[str]] = {}
    for seed, depends, content in _readable(lines):
        if content is not None:
            changed.setdefault(seed, []).append(named_files.changed(depends))
    return {seed: labels[-1] for seed, labels in changed.items() if all(labels)}


@dataclass(frozen=True)
class _NamedFiles:
    """The files that the lines of a key name.

    Attributes:
        checksums: label → present checksum.
        inconsistent: the files for which some line records another checksum than the present one.
        project: the project's files, or None without a project.
    """

    checksums: Mapping[str, str] = field(default_factory=dict)
    inconsistent: frozenset[str] = frozenset()
    project: ProjectFiles | None = None

    def changed(self, depends: Mapping[str, str]) -> str:
        """Return a file that makes a line with this record invalid, or "".

        The line names it, or only other lines name it, and it has changed since one of these was written.
        """
        if self.project is None:
            return ""
        return self.project.changed(depends) or next((label for label in self.inconsistent if label not in depends), "")


def _named_files(store: Store, lines: list[bytes]) -> _NamedFiles:
    if store.files is None or not any(_DEPENDS in line for line in lines):
        return _NamedFiles()
    checksums: dict[str, str] = {}
    inconsistent = set()
    for _, depends, _ in _readable(lines):
        for label, recorded in depends.items():
            checksums[label] = store.files.checksum(label, recorded.partition(":")[0])
            if store.files.changed({label: recorded}):
                inconsistent.add(label)
    return _NamedFiles(checksums, frozenset(inconsistent), store.files)


def _lines(store: Store, key: str) -> list[bytes]:
    try:
        return read_regular_file(_file(store, key)).split(b"\n")
    except OSError:
        return []


def _readable(lines: Iterable[bytes]) -> Iterator[tuple[int, Mapping[str, str], Any]]:
    for line in lines:
        if line.strip():
            with contextlib.suppress(ValueError):
                yield _parse_line(line)


def _warn(path: str, seed: int, damage: str) -> None:
    warnings.warn(
        f"the stored measurement of seed {seed} in {path} {damage}; it is measured again", MemkitWarning, stacklevel=3
    )


def _parse_line(line: bytes) -> tuple[int, Mapping[str, str], Any]:
    """Return the seed of a line, the dependencies of its measurement (file → checksum), and its content.

    Raises:
        ValueError: if it is damaged; the message continues a sentence that begins with the name of the file.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{DAMAGED}: a line is not a measurement with a checksum")
    # The checksum covers the text as it was written, so the content need not be serialised again to verify it.
    if _checksum(int(match["seed"]), match["depends"], match["content"]) != match["sha256"]:
        raise ValueError(f"{DAMAGED}: a checksum does not match")
    try:
        depends = parse_dependencies(json.loads(match["depends"])) if match["depends"] else {}
        return int(match["seed"]), depends, json.loads(match["content"])
    except (ValueError, RecursionError) as error:
        raise ValueError(describe_damage(error)) from error


def _checksum(seed: int, depends: bytes | None, content: bytes) -> bytes:
    parts = [b"%d" % seed, *([depends] if depends else []), content]
    return hashlib.sha256(b" ".join(parts)).hexdigest().encode()


def _blank(path: str, lines: list[bytes], numbers: Iterable[int]) -> None:
    """Overwrite lines with spaces, which does not disturb a process that appends lines at the same time."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        for number in numbers:
            file.seek(sum(len(line) + 1 for line in lines[:number]))
            file.write(b" " * len(lines[number]))


def damaged_measurements(store: Store) -> Iterator[tuple[Path, str]]:
    """Yield (path, damage) for each damaged file; together they read as a sentence."""
    for path in _files(store):
        try:
            for line in read_regular_file(str(path)).split(b"\n")[:-1]:
                if line.strip():
                    _parse_line(line)
        except (OSError, ValueError) as error:
            yield path, describe_damage(error)


def count_measurements(store: Store) -> tuple[int, int]:
    """Return the number of measurements in a store's folder, and their size in bytes."""
    seeds = size = 0
    for path in _files(store):
        with contextlib.suppress(OSError):  # it cannot be read, or it is a folder
            content = read_regular_file(str(path))
            seeds += len(set(_SEED.findall(content)))
            size += len(content)
    return seeds, size


def _folder(store: Store) -> Path:
    return store.root / "measurements"


def _files(store: Store) -> list[Path]:
    return sorted(_folder(store).glob("*/*.jsonl"))


def _fetch(store: Store, remote: Remote, key: str, seed: int) -> Any:
    """Copy a measurement from the URL into the folder, and return its content; None if there is no usable one."""
    content = remote.get(_object(key, seed))
    if content is None:
        return None
    try:
        record = parse_object(content) if content.startswith(b'{"depends": ') else None
        depends = parse_dependencies(typed_entry(record, "depends", dict)) if record is not None else {}
        measurement = from_bytes(typed_entry(record, "measurement", str).encode() if record is not None else content)
    except ValueError as error:
        remote.delete(_object(key, seed))
        warn(f"the stored measurement {remote}/{_object(key, seed)} {error}; it is measured again")
        return None
    if store.files is not None and store.files.changed(depends):
        return None
    with contextlib.suppress(OSError):  # if it cannot be written, it is fetched again next time
        append_line(_file(store, key), _line(seed, depends, _json_bytes(measurement)), _folder(store))
    return measurement


def stored_seeds(store: Store, key: str, seeds: Iterable[int]) -> set[int]:
    """Return the seeds among these that seem to have a measurement under a key, in the folder or at the URL.

    Seeds for which the folder shows that a file has changed are left out. Checksums, and whether a measurement was
    revoked, are seen only when it is loaded.
    """
    requested = set(seeds)
    lines = _lines(store, key)
    stored = {int(match[1]) for line in lines if (match := _SEED.match(line))}
    named_files = _named_files(store, lines)
    if named_files.checksums:
        stored &= {
            seed
            for seed, depends, content in _readable(lines)
            if content is not None and not named_files.changed(depends)
        }
    if store.remote is not None and not requested <= stored:
        # The folder of the key, whatever the seed; None if the server cannot be reached.
        names = store.remote.names(_object(key, 0).rpartition("/")[0]) or set()
        stored |= {seed for seed in requested if f"{seed}.json" in names}
    return requested & stored


def save_measurement(
    store: Store,
    key: str,
    seed: int,
    content: Any,
    *,
    depends: Mapping[str, str] | None = None,
    first: bool = True,
) -> None:
    """Store a measurement.

    Args:
        store: the store.
        key: see :func:`measurement_key`.
        seed: the seed that was measured.
        content: the measurement, in JSON types; a number that is not finite is stored as "nan", "inf" or "-inf".
        depends: file → checksum; see :mod:`memkit.store.dependencies`.
        first: whether this is the seed's first measurement; only that one is shared through the URL.

    Raises:
        MemkitError: if the disk is full, or the store cannot be written to.
    """
    try:
        text = _json_bytes(content)
    except ValueError:  # a number is not finite
        content = _with_named_numbers(content)
        text = _json_bytes(content)
    depends = dict(depends or {})
    try:
        append_line(_file(store, key), _line(seed, depends, text), _folder(store))
    except OSError as error:
        raise MemkitError(
            f"a measurement could not be written to the store {store.root} ({error.strerror}); free space "
            "there, or choose another folder with --store"
        ) from error
    if store.remote is not None and first:
        stored = to_bytes(content)
        if depends:
            stored = _json_bytes({"depends": depends, "measurement": stored.decode()})
        store.remote.put(_object(key, seed), stored)


def revoke_measurement(store: Store, key: str, seed: int) -> None:
    """Revoke the stored measurements of a seed; if this cannot be written, they stay valid."""
    with contextlib.suppress(OSError):
        append_line(_file(store, key), _line(seed, {}, b"null"), _folder(store))
    if store.remote is not None:
        store.remote.delete(_object(key, seed))


def _json_bytes(content: Any) -> bytes:
    """Return JSON without a line break in it."""
    return _ENCODER.encode(content).encode()


def _line(seed: int, depends: Mapping[str, str], text: bytes) -> bytes:
    record = b""
    if depends:  # a label may contain braces, which the pattern of a line does not allow
        record = json.dumps(dict(depends), sort_keys=True).encode()
        record = b"{" + record[1:-1].replace(b"{", b"\\u007b").replace(b"}", b"\\u007d") + b"}"
    checksum = _checksum(seed, record, text)
    # It also begins with a line break, so that it does not continue a line that a killed process left incomplete.
    dependencies = b'"depends": %s, ' % record if record else b""
    return b'\n{"seed": %d, "sha256": "%s", %s"content": %s}\n' % (seed, checksum, dependencies, text)


def _with_named_numbers(content: Any) -> Any:
    """Return content with the names of numbers that are not finite, such as "nan", since JSON cannot represent them."""
    if isinstance(content, Mapping):
        return {name: _with_named_numbers(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_with_named_numbers(value) for value in content]
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content


def _file(store: Store, key: str) -> str:
    return os.path.join(store.root, "measurements", key[:2], f"{key}.jsonl")


def _object(key: str, seed: int) -> str:
    return f"measurements/{key[:2]}/{key}/{seed}.json"
