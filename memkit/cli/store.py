"""``memkit store``: list the contents of the store of trained runs, verify them, or remove runs."""

from __future__ import annotations

import argparse
import time

from memkit.cli import places
from memkit.errors import MemkitError, count_of
from memkit.store.housekeeping import (
    StoredRun,
    damaged,
    format_size,
    parse_size,
    pinned_digests,
    runs,
    runs_to_remove,
)
from memkit.store.measurements import count_measurements
from memkit.store.store import Store

_DAY = 24 * 3600.0


def ls(options: argparse.Namespace) -> int:
    """``memkit store ls``: list each recipe, with the number, the size and the last use of its runs."""
    store = _open(options)
    by_recipe: dict[str, list[StoredRun]] = {}
    for run in runs(store):
        by_recipe.setdefault(run.digest, []).append(run)
    pinned = pinned_digests([options.accepted])
    rows = [("recipe", "runs", "size", "used", "", "model")]
    for digest, stored in sorted(by_recipe.items(), key=lambda item: -max(run.used for run in item[1])):
        size, used = format_size(sum(run.size for run in stored)), _age(max(run.used for run in stored))
        status = "accepted" if digest in pinned else ""
        rows.append((digest[:12], str(len(stored)), size, used, status, stored[0].model or "unreadable"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[5][:80]]).rstrip())
    measurements, measurement_bytes = count_measurements(store)
    total = sum(run.size for stored in by_recipe.values() for run in stored)
    count = sum(len(stored) for stored in by_recipe.values())
    print(
        f"{store.root}: {count_of(count, 'run')}, {format_size(total)}; {count_of(measurements, 'measurement')}, "
        f"{format_size(measurement_bytes)}"
    )
    return 0


def verify(options: argparse.Namespace) -> int:
    """``memkit store verify``: verify every checksum; return 1 if any does not match."""
    store = _open(options)
    damages = list(damaged(store))
    for path, damage in damages:
        print(f"{path} {damage}")
    if damages:
        print(f"{len(damages)} damaged; each is trained or measured again when it is needed")
        return 1
    print(f"{store.root}: all runs and measurements are intact")
    return 0


def gc(options: argparse.Namespace) -> int:
    """``memkit store gc``: remove runs that are not accepted, the least recently used first; a dry run by default."""
    store = _open(options)
    stored = list(runs(store))
    pinned = pinned_digests([options.accepted])
    selected = runs_to_remove(stored, pinned, parse_size(options.keep))
    total = sum(run.size for run in stored)
    pinned_size = sum(run.size for run in stored if run.digest in pinned)
    if not options.delete:
        for run in selected:
            line = f"{run.digest[:12]}/{run.seed}  {format_size(run.size)}  used {_age(run.used)}  {run.model[:60]}"
            print(line.rstrip())
    removed = [run for run in selected if not options.delete or store.remove(run.digest, run.seed)]
    removed_size = sum(run.size for run in removed)
    action = "removed" if options.delete else "would be removed"
    print(
        f"{len(removed)} of {count_of(len(stored), 'run')} {action}, {format_size(removed_size)} of "
        f"{format_size(total)}; accepted verdicts keep {format_size(pinned_size)}"
    )
    if remaining := len(selected) - len(removed):
        print(f"{count_of(remaining, 'run')} could not be removed; check the permissions of {store.root}")
    if selected and not options.delete:
        print("nothing was removed; add --delete to remove these runs")
    return 0


def _open(options: argparse.Namespace) -> Store:
    store = places.store(options.store)
    if not (store.root / "runs").is_dir():
        raise MemkitError(f"there is no store in {store.root}; name its folder with --store or MEMKIT_STORE")
    if store.remote is not None:
        print(f"{store}: this is its local copy in {store.root}")
    return store


def _age(moment: float) -> str:
    """Return how long ago a time was, in days; the time is in seconds since the epoch."""
    days = (time.time() - moment) / _DAY
    if days < 0:
        return "in the future"  # the clock was set back
    return "today" if days < 1 else f"{days:.0f} day{'s' if round(days) > 1 else ''} ago"
