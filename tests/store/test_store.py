"""The store returns exactly what was saved, bit for bit, or nothing."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock, Timeout
from hypothesis import given, settings
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.store import store as store_module
from memkit.store.entries import run_to_files
from memkit.store.store import Store
from memkit.store.verified_files import from_bytes, to_bytes
from memkit.training.trained_run import TrainedRun
from tests.machines.clocks import PATIENCE
from tests.machines.killed import killed_in
from tests.store.entries import DIGEST, FILES, RUN, assert_gone, assert_same, files, save


def test_a_store_excludes_itself_from_git(tmp_path: Path) -> None:
    new, own, theirs = tmp_path / "new", tmp_path / ".memkit", tmp_path / "theirs"
    for folder in (own, theirs):
        folder.mkdir()
    for folder in (new, own, theirs):
        Store(folder).prepare()
    assert (new / ".gitignore").read_text().splitlines()[-1] == "*"
    assert (own / ".gitignore").is_file()
    assert not (theirs / ".gitignore").exists(), "an existing folder may contain other files"
    (new / ".gitignore").write_text("mine")
    Store(new).prepare()
    assert (new / ".gitignore").read_text() == "mine"


def test_a_run_is_loaded_as_it_was_saved_to_the_bit(store: Store) -> None:
    assert store.load(DIGEST, RUN.seed) is None
    save(store)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)
    assert math.isnan(loaded.metrics["loss"]), "a number again, not a string"


def test_an_entry_is_readable_and_holds_no_pickle(store: Store) -> None:
    entry = save(store)
    assert files(store.root) == sorted(FILES)
    assert json.loads((entry / "recipe.json").read_text()) == {"model": "toys:Cohort"}
    run = json.loads((entry / "run.json").read_text())
    assert (run["made"], run["metrics"]["loss"]) == ({"torch": "2"}, "nan")
    assert json.loads((entry / "manifest.json").read_text())["version"] == 1
    assert list((store.root / "runs" / "tmp").iterdir()) == []


def test_nothing_is_ever_unpickled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save(store)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a pickle was loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(f"pickle.{name}", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert store.load(DIGEST, RUN.seed) is not None


def test_missing_lists_the_seeds_that_are_not_stored(store: Store) -> None:
    save(store)
    assert store.has(DIGEST, RUN.seed)
    assert not store.has("cd" * 16, RUN.seed)
    assert store.missing(DIGEST, [1, RUN.seed, 2]) == [1, 2]


def test_saving_again_replaces_a_run(store: Store) -> None:
    entry = save(store)
    (entry / "stray").touch()
    metrics = {"loss": 0.5, "steps": 1, "parameters": 1, "cpu_seconds": 0.25}
    save(store, TrainedRun(seed=RUN.seed, state={"w": torch.ones(1)}, metrics=metrics))
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert (list(loaded.state), loaded.metrics, files(entry)) == (["w"], metrics, sorted(FILES))


@pytest.fixture
def two_disks(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """Let ``runs`` be a link to another disk."""

    def on_one_disk(original: Any) -> Any:
        def rename(path: Any, to: Any, **options: Any) -> None:
            folders = {Path(name).relative_to(store.root).parts[0] for name in (path, to)}
            if len(folders) > 1:
                raise OSError(errno.EXDEV, "Invalid cross-device link", str(path))
            original(path, to, **options)

        return rename

    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, on_one_disk(getattr(os, name)))


@pytest.mark.usefixtures("two_disks")
def test_runs_may_be_on_another_disk(store: Store) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    assert_gone(store, entry, "is damaged")
    save(store)
    again = Store(store.root, session="second", retrain=True)
    save(again)
    assert again.has(DIGEST, RUN.seed)
    assert store.remove(DIGEST, RUN.seed)
    assert not store.has(DIGEST, RUN.seed)


# --- sessions -----------------------------------------------------------------------------------------------


def test_retrain_counts_only_what_this_session_trained(store: Store) -> None:
    save(store)
    again = Store(store.root, session="second", retrain=True)
    assert again.missing(DIGEST, [RUN.seed]) == [RUN.seed]
    assert again.load(DIGEST, RUN.seed) is None
    save(again)
    assert again.has(DIGEST, RUN.seed)
    assert Store(store.root, session="second", retrain=True).load(DIGEST, RUN.seed) is not None
    assert store.has(DIGEST, RUN.seed)
    (store.root / "runs" / DIGEST[:2] / DIGEST / str(RUN.seed) / "manifest.json").write_text("[")
    assert not again.has(DIGEST, RUN.seed)


# --- costs --------------------------------------------------------------------------------------------------


def cost(store: Store, seed: int, seconds: Any) -> Path:
    return save(store, replace(RUN, seed=seed, metrics={"cpu_seconds": seconds})) / "run.json"


def test_the_cost_of_training_is_known_without_loading_a_run(store: Store) -> None:
    assert store.cpu_seconds(DIGEST) == []
    for seed in range(12):
        cost(store, seed, 1.5)
    assert store.cpu_seconds(DIGEST) == [1.5] * 8
    assert store.cpu_seconds(DIGEST, at_most=3) == [1.5] * 3
    assert store.cpu_seconds("cd" * 16) == []
    again = Store(store.root, session="second", retrain=True)
    assert again.cpu_seconds(DIGEST) == [1.5] * 8, "training again will take as long"


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"metrics": []}', '{"metrics": {"cpu_seconds": null}}', "\udcff"]
)
def test_the_cost_of_a_damaged_run_is_ignored_without_a_warning(store: Store, text: str) -> None:
    cost(store, 1, 2.0)
    cost(store, 2, 3.0).write_bytes(text.encode(errors="surrogateescape"))
    cost(store, 3, 4.0).unlink()
    (store.root / "runs" / DIGEST[:2] / DIGEST / "stray").touch()
    assert store.cpu_seconds(DIGEST) == [2.0]


# --- folders ------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("not a folder")
    for root in (path, path / "below"):
        with pytest.raises(
            MemkitError, match=r"cannot be written to .* choose another folder with --store or MEMKIT_STORE"
        ):
            Store(root).prepare()
    assert path.read_text() == "not a folder"


def test_the_temporary_files_of_a_killed_run_are_removed_after_a_day(store: Store) -> None:
    folder, file, fresh = (store.root / "runs" / "tmp" / name for name in ("folder", "file", "fresh"))
    folder.mkdir()
    (folder / "weights.safetensors").touch()
    file.touch()
    fresh.mkdir()
    yesterday = time.time() - 25 * 3600
    for path in (folder, file):
        os.utime(path, (yesterday, yesterday))
    store.prepare()
    assert [path.name for path in (store.root / "runs" / "tmp").iterdir()] == ["fresh"]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the disk be full when the n-th file is written; the fixture's only element is n."""
    at = [0]
    write = store_module.write

    def fails(path: Path, content: bytes, *, sync: bool = False) -> None:
        assert sync, "a trained run must survive a power failure"
        at[0] -= 1
        if at[0] < 0:
            path.write_bytes(content[:3])
            raise OSError(28, "No space left on device", str(path))
        write(path, content)

    monkeypatch.setattr(store_module, "write", fails)
    return at


@pytest.mark.parametrize("written", range(4))
def test_a_full_disk_leaves_no_entry(store: Store, full_disk: list[int], written: int) -> None:
    full_disk[0] = written
    with pytest.raises(
        MemkitError, match=r"No space left on device.*free space there, or choose another folder .*--store"
    ):
        save(store)
    assert not store.has(DIGEST, RUN.seed)
    assert files(store.root) == []


def test_a_full_disk_leaves_the_existing_entry(store: Store, full_disk: list[int]) -> None:
    full_disk[0] = 4
    save(store)
    with pytest.raises(MemkitError):
        save(store)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)


# --- locks --------------------------------------------------------------------------------------------------


def test_runs_are_locked_one_by_one(store: Store) -> None:
    def free(seed: int) -> bool:
        try:
            with FileLock(store.root / "locks" / f"{DIGEST}-{seed}.lock", timeout=0):
                return True
        except Timeout:
            return False

    with store.lock(DIGEST, [3, 1, 3]):
        assert [free(seed) for seed in (1, 2, 3)] == [False, True, False]
    assert free(1)
    with pytest.raises(RuntimeError, match="in training"), store.lock(DIGEST, [1]):
        raise RuntimeError("in training")
    assert free(1)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_rejected(store: Store, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    sentence = f"the store {store.root} is on a disk that does not support file locks .*a local disk or the URL"
    with pytest.raises(MemkitError, match=sentence):
        store.prepare()
    with pytest.raises(MemkitError, match=sentence), store.lock(DIGEST, [1]):
        pass


def test_a_folder_in_the_place_of_a_lock_does_not_block(store: Store) -> None:
    (store.root / "locks" / f"{DIGEST}-1.lock" / "within").mkdir(parents=True)
    with store.lock(DIGEST, [1]):
        pass


# --- JSON ---------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(content=JSON)
@settings(max_examples=40)
def test_json_is_read_as_it_was_written(content: Any) -> None:
    assert from_bytes(to_bytes(content)) == content


def test_damaged_json_is_refused() -> None:
    whole = to_bytes({"value": 12345})
    for content in (whole.replace(b"12345", b"12346"), whole[:20], b"", b"[]", b"null", b"{}", b'{"content": 1}'):
        with pytest.raises(ValueError, match="is damaged"):
            from_bytes(content)


@pytest.mark.parametrize("moment", ["weights.safetensors", "run.json", "recipe.json", "manifest.json", "in place"])
def test_a_process_that_is_killed_while_it_writes_leaves_no_entry(store: Store, moment: str) -> None:
    contents = run_to_files(DIGEST, {}, RUN, made={}, session="first")
    context = multiprocessing.get_context("spawn")
    victim = context.Process(target=killed_in, args=(store, DIGEST, RUN.seed, contents, moment))
    victim.start()
    victim.join(PATIENCE)
    assert victim.exitcode == -signal.SIGKILL
    assert store.missing(DIGEST, [RUN.seed]) == [RUN.seed]
    assert store.load(DIGEST, RUN.seed) is None
    left = files(store.root / "runs" / "tmp")
    assert left, "incomplete files stay, and cause no harm"
    save(store)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_jumps_loses_no_run(store: Store, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """With files from tomorrow, or from the day before yesterday, runs are found, loaded and verified as usual."""
    save(store)
    temporary = store.root / "runs" / "tmp" / "being-written"
    temporary.mkdir()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600 * hours)
    store.prepare()
    assert temporary.exists() == (hours < 0), "it is removed only if it seems to be older than a day"
    assert store.missing(DIGEST, [RUN.seed]) == []
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)
    save(store, replace(RUN, seed=4))
    assert store.missing(DIGEST, [RUN.seed, 4]) == []
