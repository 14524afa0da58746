"""What a test measured on a seed, kept so that a run in which nothing changed measures nothing again.

The key covers all that a measurement depends on but the seed: the claim, its arms' recipes, the source of every
project module that the test and its fixtures use, the device's type and torch's minor version. One file a key holds
one line a seed::

    {"seed": 3, "sha256": "…", "content": {…}}

Lines are only appended, each by one call of the operating system, so processes may share a file; of several lines of
one seed the last counts. At a URL each measurement is an object of its own.
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
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.training.checked import DAMAGED, UNFIT, append, from_bytes, read_ordinary, remove_all, to_bytes, why
from memkit.training.remote import Remote
from memkit.training.store import Store

_LINE = re.compile(rb'\{"seed": (?P<seed>\d{1,20}), "sha256": "(?P<sha256>[0-9a-f]{64})", "content": (?P<content>.*)\}')
_SEED = re.compile(rb'^\{"seed": (\d{1,20}), ', re.MULTILINE)


def measurement_key(content: Mapping[str, Any]) -> str:
    """32 hex digits for everything that a claim's measurements depend on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_measurement(store: Store, key: str, seed: int) -> Any:
    """What was measured under a key on a seed, or None. What is damaged is passed over with a warning."""
    path = _file(store, key)
    try:
        lines = read_ordinary(path).split(b"\n")
    except FileNotFoundError:
        lines = []
    except OSError as error:
        # No other will pass by itself.
        if isinstance(error, (IsADirectoryError, NotADirectoryError, PermissionError)) or error.errno in UNFIT:
            folder = Path(path).parent
            remove_all(Path(path) if os.path.isdir(folder) else folder)
        _warn(path, seed, why(error))
        return None
    damage: dict[int, str] = {}
    for number in reversed(range(len(lines))):
        line = lines[number]
        at = _SEED.match(line)
        if not line.strip() or (at is not None and int(at[1]) != seed):
            continue
        try:
            return _read(line)[1]
        except ValueError as error:
            if number < len(lines) - 1:  # else it is still being written, or whoever wrote it was killed
                damage[number] = str(error)
    if damage:
        # First out of the way: where warnings are errors, the next line ends the run.
        _blank(path, lines, damage)
        _warn(path, seed, next(iter(damage.values())))
        return None
    return None if store.remote is None else _fetch(store, store.remote, key, seed)


def _warn(path: str, seed: int, wrong: str) -> None:
    warnings.warn(
        f"the stored measurement of seed {seed} in {path} {wrong}; it is measured again", MemkitWarning, stacklevel=3
    )


def _read(line: bytes) -> tuple[int, Any]:
    """The seed and the content of a line.

    Raises:
        ValueError: it is damaged; the message continues a sentence that begins with its place.
    """
    form = _LINE.fullmatch(line)
    if form is None:
        raise ValueError(f"{DAMAGED}: a line is no measurement with a checksum")
    # The checksum is that of the text as it was written, so the content need not be written again to verify it.
    if _checksum(int(form["seed"]), form["content"]) != form["sha256"]:
        raise ValueError(f"{DAMAGED}: a checksum does not verify")
    try:
        return int(form["seed"]), json.loads(form["content"])
    except (ValueError, RecursionError) as error:
        raise ValueError(why(error)) from error


def _checksum(seed: int, content: bytes) -> bytes:
    return hashlib.sha256(b"%d %s" % (seed, content)).hexdigest().encode()


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
    """What another machine measured, taken over into the folder."""
    content = remote.get(_object(key, seed))
    if content is None:
        return None
    try:
        found = from_bytes(content)
    except ValueError as error:
        remote.delete(_object(key, seed))
        told(f"the stored measurement {remote}/{_object(key, seed)} {error}; it is measured again")
        return None
    with contextlib.suppress(OSError):  # then it is fetched again the next time
        append(_file(store, key), _line(seed, _text(found)), _folder(store))
    return found


def stored_seeds(store: Store, key: str, seeds: Iterable[int]) -> set[int]:
    """Return those of the seeds that have a measurement under a key; whether it is whole is seen when it is loaded."""
    wanted = set(seeds)
    try:
        found = {int(seed) for seed in _SEED.findall(read_ordinary(_file(store, key)))}
    except OSError:
        found = set()
    if store.remote is not None and not wanted <= found:
        names = store.remote.names(_object(key, 0).rpartition("/")[0]) or set()
        found |= {seed for seed in wanted if f"{seed}.json" in names}
    return wanted & found


def save_measurement(store: Store, key: str, seed: int, content: Any) -> None:
    """Keep what was measured: JSON types; a number that is not finite is kept as its name.

    Raises:
        MemkitError: the disk is full, or the store cannot be written.
    """
    try:
        text = _text(content)
    except ValueError:  # a number is not finite
        content = _strict(content)
        text = _text(content)
    try:
        append(_file(store, key), _line(seed, text), _folder(store))
    except OSError as error:
        raise MemkitError(
            f"a measurement could not be written to the store {store.root} ({error.strerror}); free space "
            "there, or choose another folder with --store"
        ) from error
    if store.remote is not None:
        store.remote.put(_object(key, seed), to_bytes(content))


def forget_measurement(store: Store, key: str, seed: int) -> None:
    """Let a measurement that was kept count as never made; where that cannot be written, it stays."""
    with contextlib.suppress(OSError):
        append(_file(store, key), _line(seed, b"null"), _folder(store))
    if store.remote is not None:
        store.remote.delete(_object(key, seed))


def _text(content: Any) -> bytes:
    """JSON without a line break in it."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _line(seed: int, text: bytes) -> bytes:
    # It begins with a line break too, or it would continue what a process that was killed left unfinished.
    return b'\n{"seed": %d, "sha256": "%s", "content": %s}\n' % (seed, _checksum(seed, text), text)


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
