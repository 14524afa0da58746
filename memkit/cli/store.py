"""``memkit store``: what is in the store of trained runs, whether it is whole, and what can go."""

from __future__ import annotations

import argparse
import time

from memkit.cli import places
from memkit.errors import MemkitError, many
from memkit.store.housekeeping import Kept, damaged, in_words, pinned_by, removable, runs, size_of
from memkit.store.measurements import count_measurements
from memkit.store.store import Store

_DAY = 24 * 3600.0


def ls(options: argparse.Namespace) -> int:
    """``memkit store ls``: each recipe, its runs, what they take, and when one was used last."""
    store = _open(options)
    by_recipe: dict[str, list[Kept]] = {}
    for run in runs(store):
        by_recipe.setdefault(run.digest, []).append(run)
    pinned = pinned_by([options.accepted])
    rows = [("recipe", "runs", "size", "used", "", "model")]
    for digest, kept in sorted(by_recipe.items(), key=lambda item: -max(run.used for run in item[1])):
        size, used = sum(run.size for run in kept), max(run.used for run in kept)
        mark = "accepted" if digest in pinned else ""
        rows.append((digest[:12], str(len(kept)), in_words(size), _ago(used), mark, kept[0].model or "unreadable"))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[5][:80]]).rstrip())
    measured, size = count_measurements(store)
    total = sum(run.size for kept in by_recipe.values() for run in kept)
    count = sum(len(kept) for kept in by_recipe.values())
    measurements = f"{many(measured, 'measurement')}, {in_words(size)}"
    print(f"{store.root}: {many(count, 'run')}, {in_words(total)}; {measurements}")
    return 0


def verify(options: argparse.Namespace) -> int:
    """``memkit store verify``: every checksum; 1 where one does not verify."""
    store = _open(options)
    wrong = list(damaged(store))
    for path, why in wrong:
        print(f"{path} {why}")
    if wrong:
        print(f"{len(wrong)} damaged; each is trained or measured again when it is wanted")
        return 1
    print(f"{store.root}: every run and measurement is whole")
    return 0


def gc(options: argparse.Namespace) -> int:
    """``memkit store gc``: throw away what is not accepted, the least recently used first; a dry run by default."""
    store = _open(options)
    kept = list(runs(store))
    pinned = pinned_by([options.accepted])
    going = removable(kept, pinned, size_of(options.keep))
    total = sum(run.size for run in kept)
    held = sum(run.size for run in kept if run.digest in pinned)
    if not options.delete:
        for run in going:
            print(
                f"{run.digest[:12]}/{run.seed}  {in_words(run.size)}  used {_ago(run.used)}  {run.model[:60]}".rstrip()
            )
    gone = [run for run in going if not options.delete or store.remove(run.digest, run.seed)]
    less = sum(run.size for run in gone)
    done = "removed" if options.delete else "would be removed"
    print(
        f"{len(gone)} of {many(len(kept), 'run')} {done}, {in_words(less)} of {in_words(total)}; accepted verdicts "
        f"keep {in_words(held)}"
    )
    if stays := len(going) - len(gone):
        print(f"{many(stays, 'run')} could not be removed; see who may write in {store.root}")
    if going and not options.delete:
        print("nothing was removed; add --delete to do it")
    return 0


def _open(options: argparse.Namespace) -> Store:
    store = places.store(options.store)
    if not (store.root / "runs").is_dir():
        raise MemkitError(f"there is no store in {store.root}; name its folder with --store or MEMKIT_STORE")
    if store.remote is not None:
        print(f"{store}: this is what is kept of it in {store.root}")
    return store


def _ago(moment: float) -> str:
    days = (time.time() - moment) / _DAY
    if days < 0:
        return "in the future"  # the clock went backwards
    return "today" if days < 1 else f"{days:.0f} day{'s' if round(days) > 1 else ''} ago"
