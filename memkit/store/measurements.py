"""Measurements of tests for each seed, kept so that a run in which nothing changed measures nothing again.

The key covers what a measurement is known beforehand to depend on, except the seed. Files that turn out to be read
while it is made stand beside it, with checksums (:mod:`memkit.store.dependencies`). There is one file per key, with one
line per seed::

    {"seed": 3, "sha256": "…", "depends": {"table.csv": "sha256:…"}, "content": {…}}

A line counts while every file that it names, and every file that another line of the key names, is as it was: a process
imports a module once, on whatever seed comes first. Lines are only appended, each by one call of the operating system,
so processes may share a file. Of several lines of one seed that count, the first is used; a line without content
revokes those before it. At a URL each measurement is an object of its own.
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

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.files import remove_all
from memkit.store.dependencies import ProjectFiles, depends_of
from memkit.store.remote import Remote
from memkit.store.store import Store
from memkit.store.verified_files import (
    DAMAGED,
    UNFIT,
    append,
    from_bytes,
    parsed,
    part,
    read_ordinary,
    to_bytes,
    why,
)

_LINE = re.compile(
    rb'\{"seed": (?P<seed>\d{1,20}), "sha256": "(?P<sha256>[0-9a-f]{64})", '
    rb'(?P<text>(?:"depends": (?P<depends>\{[^{}]*\}), )?"content": (?P<content>.*))\}'
)
_SEED = re.compile(rb'^\{"seed": (\d{1,20}), ', re.MULTILINE)
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False)
_DEPENDS = b'", "depends": {'


def measurement_key(content: Mapping[str, Any]) -> str:
    """Return 32 hex digits for everything that a claim's measurements depend on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_measurement(store: Store, key: str, seed: int) -> Any:
    """Return what was measured first under a key on a seed, or None; see :func:`load_measurements`."""
    return next(iter(load_measurements(store, key, seed)), None)


def load_measurements(store: Store, key: str, seed: int) -> list[Any]:
    """Return all that was measured under a key on a seed, in order; what is damaged is passed over with a warning."""
    path = _file(store, key)
    try:
        lines = read_ordinary(path).split(b"\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        # These errors do not pass by themselves.
        if isinstance(error, (IsADirectoryError, NotADirectoryError, PermissionError)) or error.errno in UNFIT:
            folder = Path(path).parent
            remove_all(Path(path) if os.path.isdir(folder) else folder)
        _warn(path, seed, why(error))
        return []
    known = _known(store, lines)
    damage: dict[int, str] = {}
    found, there = list[Any](), False
    for number, line in enumerate(lines):
        at = _SEED.match(line)
        if not line.strip() or (at is not None and int(at[1]) != seed):
            continue
        try:
            _, depends, content = _read(line)
        except ValueError as error:
            if number < len(lines) - 1:  # else it is still being written, or whoever wrote it was killed
                damage[number] = str(error)
            continue
        there = True
        if content is None:
            found.clear()
        elif not known.changed(depends):
            found.append(content)
    if damage and not there:
        # First out of the way: where warnings are errors, the next line ends the run.
        _blank(path, lines, damage)
        _warn(path, seed, next(iter(damage.values())))
        return []
    if not found and store.remote is not None and (fetched := _fetch(store, store.remote, key, seed)) is not None:
        found.append(fetched)
    return found


def known_files(store: Store, key: str) -> dict[str, str]:
    """Return the files that any measurement of a key depends on, with their checksums now."""
    return dict(_known(store, _lines(store, key)).files)


def changed_files(store: Store, key: str) -> dict[int, str]:
    """Return seed → the file whose change made the seed's measurement useless, for those seeds that have one."""
    lines = _lines(store, key)
    known = _known(store, lines)
    if not known.files:
        return {}
    changed: dict[int, list[str]] = {}
    for seed, depends, content in _readable(lines):
        if content:
            changed.setdefault(seed, []).append(known.changed(depends))
    return {seed: labels[-1] for seed, labels in changed.items() if all(labels)}


@dataclass(frozen=True)
class _Known:
    """The files that the lines of a key name.

    Attributes:
        files: label → checksum now.
        unsteady: those for which a line has another checksum.
        now: the project's files, or None where there is no project.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    unsteady: frozenset[str] = frozenset()
    now: ProjectFiles | None = None

    def changed(self, depends: Mapping[str, str]) -> str:
        """Return a file that is not as it was when a line with this record was written, as far as is known; or ""."""
        if self.now is None:
            return ""
        return self.now.changed(depends) or next((label for label in self.unsteady if label not in depends), "")


def _known(store: Store, lines: list[bytes]) -> _Known:
    if store.files is None or not any(_DEPENDS in line for line in lines):
        return _Known()
    files: dict[str, str] = {}
    unsteady = set()
    for _, depends, _ in _readable(lines):
        for label, before in depends.items():
            files[label] = store.files.checksum(label, before.partition(":")[0])
            if store.files.changed({label: before}):
                unsteady.add(label)
    return _Known(files, frozenset(unsteady), store.files)


def _lines(store: Store, key: str) -> list[bytes]:
    try:
        return read_ordinary(_file(store, key)).split(b"\n")
    except OSError:
        return []


def _readable(lines: Iterable[bytes]) -> Iterator[tuple[int, Mapping[str, str], Any]]:
    for line in lines:
        if line.strip():
            with contextlib.suppress(ValueError):
                yield _read(line)


def _warn(path: str, seed: int, wrong: str) -> None:
    warnings.warn(
        f"the stored measurement of seed {seed} in {path} {wrong}; it is measured again", MemkitWarning, stacklevel=3
    )


def _read(line: bytes) -> tuple[int, Mapping[str, str], Any]:
    """Return the seed of a line, what its measurement depends on, and its content.

    Raises:
        ValueError: it is damaged; the message continues a sentence that begins with its place.
    """
    form = _LINE.fullmatch(line)
    if form is None:
        raise ValueError(f"{DAMAGED}: a line is no measurement with a checksum")
    # The checksum is that of the text as it was written, so the content need not be written again to verify it.
    if _checksum(int(form["seed"]), form["depends"], form["content"]) != form["sha256"]:
        raise ValueError(f"{DAMAGED}: a checksum does not verify")
    try:
        depends = depends_of(json.loads(form["depends"])) if form["depends"] else {}
        return int(form["seed"]), depends, json.loads(form["content"])
    except (ValueError, RecursionError) as error:
        raise ValueError(why(error)) from error


def _checksum(seed: int, depends: bytes | None, content: bytes) -> bytes:
    parts = [b"%d" % seed, *([depends] if depends else []), content]
    return hashlib.sha256(b" ".join(parts)).hexdigest().encode()


def _blank(path: str, lines: list[bytes], numbers: Iterable[int]) -> None:
    """Overwrite lines with spaces: nothing moves, so whoever appends meanwhile is not disturbed."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        for number in numbers:
            file.seek(sum(len(line) + 1 for line in lines[:number]))
            file.write(b" " * len(lines[number]))


def damaged_measurements(store: Store) -> Iterator[tuple[Path, str]]:
    """Yield every file that does not verify, and what is wrong with it, in words that follow its name."""
    for path in _files(store):
        try:
            for line in read_ordinary(str(path)).split(b"\n")[:-1]:
                if line.strip():
                    _read(line)
        except (OSError, ValueError) as error:
            yield path, why(error)


def count_measurements(store: Store) -> tuple[int, int]:
    """Count the measurements in a store's folder, and the bytes that they take."""
    seeds = size = 0
    for path in _files(store):
        with contextlib.suppress(OSError):  # nobody can read it, or it is a folder
            content = read_ordinary(str(path))
            seeds += len(set(_SEED.findall(content)))
            size += len(content)
    return seeds, size


def _folder(store: Store) -> Path:
    return store.root / "measurements"


def _files(store: Store) -> list[Path]:
    return sorted(_folder(store).glob("*/*.jsonl"))


def _fetch(store: Store, remote: Remote, key: str, seed: int) -> Any:
    """Fetch what another machine measured, and add it to the folder; None where there is nothing of use."""
    content = remote.get(_object(key, seed))
    if content is None:
        return None
    try:
        form = parsed(content) if content.startswith(b'{"depends": ') else None
        depends = depends_of(part(form, "depends", dict)) if form is not None else {}
        found = from_bytes(part(form, "measurement", str).encode() if form is not None else content)
    except ValueError as error:
        remote.delete(_object(key, seed))
        told(f"the stored measurement {remote}/{_object(key, seed)} {error}; it is measured again")
        return None
    if store.files is not None and store.files.changed(depends):
        return None
    with contextlib.suppress(OSError):  # then it is fetched again the next time
        append(_file(store, key), _line(seed, depends, _text(found)), _folder(store))
    return found


def stored_seeds(store: Store, key: str, seeds: Iterable[int]) -> set[int]:
    """Return those of the seeds that have a measurement under a key; whether it is whole is seen when it is loaded.

    Those whose files have changed since are left out, as far as that is known in the folder.
    """
    wanted = set(seeds)
    lines = _lines(store, key)
    found = {int(at[1]) for line in lines if (at := _SEED.match(line))}
    known = _known(store, lines)
    if known.files:
        fine = {seed for seed, depends, content in _readable(lines) if content and not known.changed(depends)}
        found &= fine
    if store.remote is not None and not wanted <= found:
        names = store.remote.names(_object(key, 0).rpartition("/")[0]) or set()
        found |= {seed for seed in wanted if f"{seed}.json" in names}
    return wanted & found


def save_measurement(
    store: Store,
    key: str,
    seed: int,
    content: Any,
    *,
    depends: Mapping[str, str] | None = None,
    first: bool = True,
) -> None:
    """Keep what was measured: JSON types; a number that is not finite is kept as its name.

    Args:
        depends: file → checksum; see :mod:`memkit.store.dependencies`.
        first: whether others are to see it; only the first measurement counts.

    Raises:
        MemkitError: the disk is full, or the store cannot be written.
    """
    try:
        text = _text(content)
    except ValueError:  # a number is not finite
        content = _strict(content)
        text = _text(content)
    depends = dict(depends or {})
    try:
        append(_file(store, key), _line(seed, depends, text), _folder(store))
    except OSError as error:
        raise MemkitError(
            f"a measurement could not be written to the store {store.root} ({error.strerror}); free space "
            "there, or choose another folder with --store"
        ) from error
    if store.remote is not None and first:
        stored = to_bytes(content)
        if depends:
            stored = _text({"depends": depends, "measurement": stored.decode()})
        store.remote.put(_object(key, seed), stored)


def forget_measurement(store: Store, key: str, seed: int) -> None:
    """Let a measurement that was kept count as never made; where that cannot be written, it stays."""
    with contextlib.suppress(OSError):
        append(_file(store, key), _line(seed, {}, b"null"), _folder(store))
    if store.remote is not None:
        store.remote.delete(_object(key, seed))


def _text(content: Any) -> bytes:
    """Return JSON without a line break in it."""
    return _ENCODER.encode(content).encode()


def _line(seed: int, depends: Mapping[str, str], text: bytes) -> bytes:
    record = b""
    if depends:  # a label may have braces, which the pattern of a line excludes
        record = json.dumps(dict(depends), sort_keys=True).encode()
        record = b"{" + record[1:-1].replace(b"{", b"\\u007b").replace(b"}", b"\\u007d") + b"}"
    checksum = _checksum(seed, record, text)
    # It begins with a line break too, or it would continue what a process that was killed left unfinished.
    named = b'"depends": %s, ' % record if record else b""
    return b'\n{"seed": %d, "sha256": "%s", %s"content": %s}\n' % (seed, checksum, named, text)


def _strict(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _strict(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_strict(value) for value in content]
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content


def _file(store: Store, key: str) -> str:
    return os.path.join(store.root, "measurements", key[:2], f"{key}.jsonl")


def _object(key: str, seed: int) -> str:
    return f"measurements/{key[:2]}/{key}/{seed}.json"
