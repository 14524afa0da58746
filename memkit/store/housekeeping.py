"""Housekeeping of a store: what is in it, whether it is whole, and what can be thrown away.

A run that is removed costs its training again, and nothing else: no verdict rests on it. So the runs that accepted
verdicts were computed from are kept, and of the others those that were used last.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memkit.errors import MemkitError
from memkit.evidence import strict_json
from memkit.store.entries import RECIPE, check_entry
from memkit.store.measurements import damaged_measurements
from memkit.store.store import Store


@dataclass(frozen=True)
class Kept:
    """A trained run in the store.

    Attributes:
        digest, seed: of its recipe, and its own.
        model: what was trained, as its recipe says; "" where the recipe cannot be read.
        size: in bytes.
        used: when it was last loaded or written, in seconds since the epoch.
    """

    digest: str
    seed: int
    model: str
    size: int
    used: float


def _entries(store: Store) -> Iterator[Path]:
    """Yield the folders of runs; skip whatever else lies there."""
    for entry in sorted((store.root / "runs").glob("*/*/*")):
        if entry.name.isdecimal() and entry.is_dir():
            yield entry


def runs(store: Store) -> Iterator[Kept]:
    """Yield the runs in a store, in the order of their digests."""
    for entry in _entries(store):
        with contextlib.suppress(OSError):  # another process may take it away meanwhile
            files = [file.stat() for file in entry.iterdir()]
            used = (entry / RECIPE).stat().st_mtime
            size = sum(file.st_size for file in files)
            yield Kept(entry.parent.name, int(entry.name), _model(entry / RECIPE), size, used)


def damaged(store: Store) -> Iterator[tuple[Path, str]]:
    """Yield each run or file of measurements that does not verify; what is wrong, in words that follow its name."""
    for entry in _entries(store):
        if wrong := check_entry(entry):
            yield entry, wrong
    yield from damaged_measurements(store)


def removable(kept: Iterable[Kept], pinned: set[str], keep: int) -> list[Kept]:
    """Return the runs to remove until the rest takes at most ``keep`` bytes: the least recently used, if not pinned.

    Args:
        pinned: digests of recipes, all of whose runs stay.
    """
    kept = list(kept)
    total = sum(run.size for run in kept)
    going = []
    for run in sorted(kept, key=lambda run: (run.used, run.digest, run.seed)):
        if total <= keep:
            break
        if run.digest not in pinned:
            going.append(run)
            total -= run.size
    return going


def pinned_by(accepted: Sequence[Path]) -> set[str]:
    """Return the digests of the recipes that accepted verdicts were computed from.

    Raises:
        MemkitError: a file is damaged. Without it, what it pins would be thrown away.
    """
    found: set[str] = set()
    for path in accepted:
        try:
            claims = strict_json.read_json(path)["claims"].values()
            found |= {str(arm["digest"]) for claim in claims for arm in claim["arms"].values() if "digest" in arm}
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MemkitError(f"{path} is damaged ({error}); restore it from version control") from error
    return found


def size_of(text: str) -> int:
    """Bytes: ``500M``, ``2G``, ``1.5 GB``, or a number of them.

    Raises:
        MemkitError: it is no size.
    """
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    plain = text.strip().upper().removesuffix("B").strip()
    with contextlib.suppress(ValueError, KeyError):
        unit = plain[-1:] if plain[-1:] in units else ""
        number = float(plain.removesuffix(unit) if unit else plain)
        if 0 <= number < float("inf"):
            return int(number * units[unit])
    raise MemkitError(f"{text!r} is no size; write 500M or 2G")


def in_words(size: int) -> str:
    """``1.2 GB``."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _model(recipe: Path) -> str:
    try:
        data = json.loads(recipe.read_bytes())
        model = str(data["model"]).rpartition(":")[2]
        options = ", ".join(f"{name} {value}" for name, value in data.get("options", {}).items())
        where = " in MLX" if data.get("backend") == "mlx" else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return f"{model}{where}" + (f" ({options})" if options else "")
