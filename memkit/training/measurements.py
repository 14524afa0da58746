"""What a test measured on a seed, kept so that a run in which nothing changed measures nothing again.

The key covers all that a measurement depends on but the seed: the claim, its arms' recipes, the source of every
project module that the test and its fixtures use, the device's type and torch's minor version. One folder a key holds
one file a seed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError, MemkitWarning
from memkit.training.store import Store, read_json, write_json


def measurement_key(content: Mapping[str, Any]) -> str:
    """32 hex digits for everything that a claim's measurements depend on."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def load_measurement(store: Store, key: str, seed: int) -> Any:
    """What was measured under a key on a seed, or None. A damaged file is passed over with a warning."""
    path = _path(store, key, seed)
    try:
        return read_json(path)
    except ValueError as error:
        # First out of the way: where warnings are errors, the next line ends the run.
        path.unlink(missing_ok=True)
        warnings.warn(f"the stored measurement {path} {error}; it is measured again", MemkitWarning, stacklevel=2)
        return None


def stored_seeds(store: Store, key: str) -> set[int]:
    """The seeds on which something was measured under a key; whether it is whole is seen when it is loaded."""
    try:
        names = os.listdir(_path(store, key, 0).parent)
    except OSError:
        return set()
    return {int(name[:-5]) for name in names if name.endswith(".json") and name[:-5].isdecimal()}


def save_measurement(store: Store, key: str, seed: int, content: Any) -> None:
    """Keep what was measured: JSON types; a number that is not finite is kept as its name.

    Raises:
        MemkitError: the disk is full, or the store cannot be written.
    """
    try:
        write_json(_path(store, key, seed), _strict(content))
    except OSError as error:
        raise MemkitError(
            f"a measurement could not be written to the store {store.root} ({error.strerror}); free space "
            "there, or choose another folder with --store"
        ) from error


def _strict(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _strict(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_strict(value) for value in content]
    return str(content) if isinstance(content, float) and not math.isfinite(content) else content


def _path(store: Store, key: str, seed: int) -> Path:
    return store.root / "measurements" / key[:2] / key / f"{seed}.json"
