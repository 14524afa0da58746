"""Housekeeping of a store: list its runs, find damage, and choose the runs that can be removed.

Removing a run costs only the time to train it again; no verdict is lost. The runs behind accepted verdicts are kept,
and among the others those that were used most recently.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.store.entries import RECIPE, find_damage
from memkit.store.measurements import damaged_measurements
from memkit.store.store import Store


@dataclass(frozen=True)
class StoredRun:
    """A trained run in the store.

    Attributes:
        digest: the digest of its recipe.
        seed: its seed.
        model: the model and its options, from the recipe; "" if the recipe cannot be read.
        size: its size in bytes.
        used: the time when it was last loaded or written, in seconds since the epoch.
    """

    digest: str
    seed: int
    model: str
    size: int
    used: float


def _entries(store: Store) -> Iterator[Path]:
    """Yield the folders of runs; skip all other files and folders."""
    for entry in sorted((store.root / "runs").glob("*/*/*")):
        if entry.name.isdecimal() and entry.is_dir():
            yield entry


def runs(store: Store) -> Iterator[StoredRun]:
    """Yield the runs in a store, in the order of their digests."""
    for entry in _entries(store):
        with contextlib.suppress(OSError):  # another process may remove it at the same time
            files = [file.stat() for file in entry.iterdir()]
            used = (entry / RECIPE).stat().st_mtime
            size = sum(file.st_size for file in files)
            yield StoredRun(entry.parent.name, int(entry.name), _model(entry / RECIPE), size, used)


def damaged(store: Store) -> Iterator[tuple[Path, str]]:
    """Yield (path, damage) for each damaged run or file of measurements; together they read as a sentence."""
    for entry in _entries(store):
        if damage := find_damage(entry):
            yield entry, damage
    yield from damaged_measurements(store)


def runs_to_remove(stored: Iterable[StoredRun], pinned: set[str], keep: int) -> list[StoredRun]:
    """Return the runs to remove so that the rest takes at most ``keep`` bytes, the least recently used first.

    Args:
        stored: all runs in the store.
        pinned: digests of recipes whose runs are never removed.
        keep: the number of bytes that may remain.
    """
    stored = list(stored)
    total = sum(run.size for run in stored)
    removed = []
    for run in sorted(stored, key=lambda run: (run.used, run.digest, run.seed)):
        if total <= keep:
            break
        if run.digest not in pinned:
            removed.append(run)
            total -= run.size
    return removed


def pinned_digests(accepted: Sequence[Path]) -> set[str]:
    """Return the digests of the recipes behind accepted verdicts.

    Args:
        accepted: files of accepted verdicts; files that do not exist are skipped.

    Raises:
        MemkitError: if a file is damaged; otherwise, the runs that it pins would be removed.
    """
    digests: set[str] = set()
    for path in accepted:
        try:
            claims = strict_json.read_json(path)["claims"].values()
            digests |= {str(arm["digest"]) for claim in claims for arm in claim["arms"].values() if "digest" in arm}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
    return digests


def parse_size(text: str) -> int:
    """Return the number of bytes that a text such as ``500M``, ``2G``, ``1.5 GB`` or ``1000`` means.

    Raises:
        MemkitError: if it is not a size.
    """
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    plain = text.strip().upper().removesuffix("B").strip()
    with contextlib.suppress(ValueError, KeyError):
        unit = plain[-1:] if plain[-1:] in units else ""
        number = float(plain.removesuffix(unit) if unit else plain)
        if 0 <= number < float("inf"):
            return int(number * units[unit])
    raise MemkitError(f"{text!r} is not a size; write 500M or 2G, for example")


def format_size(size: int) -> str:
    """Return a number of bytes with a unit: ``1.2 GB``."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _model(recipe: Path) -> str:
    """Return the model and its options from a recipe's file; "" if it cannot be read."""
    try:
        data = json.loads(recipe.read_bytes())
        model = str(data["model"]).rpartition(":")[2]
        options = ", ".join(f"{name} {value}" for name, value in data.get("options", {}).items())
        backend = " in MLX" if data.get("backend") == "mlx" else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return f"{model}{backend}" + (f" ({options})" if options else "")
