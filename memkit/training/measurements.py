"""What a test measured on a seed, kept so that a run in which nothing changed measures nothing again.

The key covers all that a measurement depends on but the seed: the claim, its arms' recipes, the source of every
project module that the test and its fixtures use, the device's type and torch's minor version. One folder a key holds
one file a seed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from memkit.errors import MemkitError, MemkitWarning, told
from memkit.training.checked import from_bytes, read_json, to_bytes, write_bytes, write_json
from memkit.training.remote import Remote
from memkit.training.store import Store


def measurement_key(content: Mapping[str, Any]) -> str:
    """32 hex digits for everything that a claim's measurements depend on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_measurement(store: Store, key: str, seed: int) -> Any:
    """What was measured under a key on a seed, or None. A damaged file is passed over with a warning."""
    path = store.root / _name(key, seed)
    try:
        found = read_json(path)
    except ValueError as error:
        # First out of the way: where warnings are errors, the next line ends the run.
        path.unlink(missing_ok=True)
        warnings.warn(f"the stored measurement {path} {error}; it is measured again", MemkitWarning, stacklevel=2)
        return None
    return found if found is not None or store.remote is None else _fetch(store, store.remote, key, seed)


def _fetch(store: Store, remote: Remote, key: str, seed: int) -> Any:
    """What another machine measured, taken over into the folder."""
    content = remote.get(_name(key, seed))
    if content is None:
        return None
    try:
        found = from_bytes(content)
    except ValueError as error:
        remote.delete(_name(key, seed))
        told(f"the stored measurement {remote}/{_name(key, seed)} {error}; it is measured again")
        return None
    with contextlib.suppress(OSError):  # then it is fetched again the next time
        write_json(store.root / _name(key, seed), found)
    return found


def stored_seeds(store: Store, key: str, seeds: Iterable[int]) -> set[int]:
    """Those of the seeds on which something was measured under a key; whether it is whole is seen when it is loaded."""
    wanted = {f"{seed}.json": seed for seed in seeds}
    folder = _name(key, 0).rpartition("/")[0]
    try:
        names = set(os.listdir(store.root / folder))
    except OSError:
        names = set()
    if store.remote is not None and not names.issuperset(wanted):
        names |= store.remote.names(folder) or set()
    return {seed for name, seed in wanted.items() if name in names}


def save_measurement(store: Store, key: str, seed: int, content: Any) -> None:
    """Keep what was measured: JSON types; a number that is not finite is kept as its name.

    Raises:
        MemkitError: the disk is full, or the store cannot be written.
    """
    try:
        data = to_bytes(content)
    except ValueError:  # a number is not finite
        data = to_bytes(_strict(content))
    try:
        write_bytes(store.root / _name(key, seed), data)
    except OSError as error:
        raise MemkitError(
            f"a measurement could not be written to the store {store.root} ({error.strerror}); free space "
            "there, or choose another folder with --store"
        ) from error
    if store.remote is not None:
        store.remote.put(_name(key, seed), data)


def _strict(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _strict(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_strict(value) for value in content]
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content


def _name(key: str, seed: int) -> str:
    return f"measurements/{key[:2]}/{key}/{seed}.json"
