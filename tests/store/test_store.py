"""The store gives back what it was given, to the bit, or nothing."""

from __future__ import annotations

import errno
import json
import math
import multiprocessing
import os
import shutil
import signal
import time
import warnings
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock, Timeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit import MemkitError, MemkitWarning
from memkit.evidence.learning_curves import thinned
from memkit.store import store as store_module
from memkit.store.entries import check_entry, files_of
from memkit.store.store import Store
from memkit.store.verified_files import from_bytes, to_bytes
from memkit.training.trained_run import TrainedRun
from tests.machines.clocks import PATIENCE
from tests.machines.killed import killed_in
from tests.machines.mutated import mutated

DIGEST = "ab" * 16
FILES = ("weights.safetensors", "run.json", "recipe.json", "manifest.json")
RUN = TrainedRun(
    seed=10_003,
    state={
        "weight": torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(1)),
        "half": torch.tensor([1.5, math.nan, -math.inf], dtype=torch.float16),
        "steps": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "empty": torch.zeros(0, 4),
    },
    metrics={"loss": math.nan, "best": 1 / 3, "steps": 7, "parameters": 6, "cpu_seconds": 2.5, "worst": math.inf},
    history=((1, 0.1), (7, math.nan)),
    validation=((5, 0.3, 2 / 3), (7, math.nan, 0.1)),
    diverged="the loss was nan at step 7",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store", session="first")
    made.prepare()
    return made


def save(store: Store, run: TrainedRun = RUN) -> Path:
    store.save(DIGEST, {"model": "toys:Cohort"}, run, made={"torch": "2"})
    return store.root / "runs" / DIGEST[:2] / DIGEST / str(run.seed)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".gitignore")


def assert_same(one: TrainedRun, other: TrainedRun) -> None:
    assert one.state.keys() == other.state.keys()
    for name, tensor in one.state.items():
        assert tensor.dtype == other.state[name].dtype
        assert tensor.shape == other.state[name].shape
        assert tensor.numpy().tobytes() == other.state[name].numpy().tobytes()
    assert repr(sorted(one.metrics.items())) == repr(sorted(other.metrics.items()))  # nan is nan
    for field in ("seed", "history", "validation", "diverged"):
        assert repr(getattr(one, field)) == repr(getattr(other, field))


def test_a_store_excludes_itself_from_git(tmp_path: Path) -> None:
    new, own, theirs = tmp_path / "new", tmp_path / ".memkit", tmp_path / "theirs"
    for folder in (own, theirs):
        folder.mkdir()
    for folder in (new, own, theirs):
        Store(folder).prepare()
    assert (new / ".gitignore").read_text().splitlines()[-1] == "*"
    assert (own / ".gitignore").is_file()
    assert not (theirs / ".gitignore").exists(), "a folder that was there may hold other files"
    (new / ".gitignore").write_text("mine")
    Store(new).prepare()
    assert (new / ".gitignore").read_text() == "mine"


def test_what_was_saved_is_loaded_to_the_bit(store: Store) -> None:
    assert store.load(DIGEST, RUN.seed) is None
    save(store)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)
    assert math.isnan(loaded.metrics["loss"]), "a number again, not its name"


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


def test_what_is_missing(store: Store) -> None:
    save(store)
    assert store.has(DIGEST, RUN.seed)
    assert not store.has("cd" * 16, RUN.seed)
    assert store.missing(DIGEST, [1, RUN.seed, 2]) == [1, 2]


def test_saving_again_replaces(store: Store) -> None:
    entry = save(store)
    (entry / "stray").touch()
    metrics = {"loss": 0.5, "steps": 1, "parameters": 1, "cpu_seconds": 0.25}
    save(store, TrainedRun(seed=RUN.seed, state={"w": torch.ones(1)}, metrics=metrics))
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert (list(loaded.state), loaded.metrics, files(entry)) == (["w"], metrics, sorted(FILES))


# --- damage -------------------------------------------------------------------------------------------------


def assert_gone(store: Store, entry: Path, match: str) -> None:
    with pytest.warns(MemkitWarning, match=match) as caught:
        assert store.load(DIGEST, RUN.seed) is None
    assert str(caught[0].message).startswith(f"the stored run {entry} ")
    assert str(caught[0].message).endswith("; it is trained again")
    assert not entry.exists()
    assert not store.has(DIGEST, RUN.seed)
    assert files(store.root) == []
    assert store.load(DIGEST, RUN.seed) is None, "and without a second warning"


@pytest.mark.parametrize("name", FILES[:3])
@given(data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_found(store: Store, name: str, data: st.DataObject) -> None:
    entry = save(store)
    content = bytearray((entry / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (entry / name).write_bytes(content)
    assert_gone(store, entry, f"is damaged: the checksum of {name} does not verify")


@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_in_the_manifest_is_found_or_harmless(store: Store, data: st.DataObject) -> None:
    path = save(store) / "manifest.json"
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = store.load(DIGEST, RUN.seed)
    if loaded is None:
        assert [w.category for w in caught] == [MemkitWarning]
        assert not path.exists()
    else:
        assert_same(loaded, RUN)
        assert not caught


@pytest.mark.parametrize("length", [0, 5, -1])
@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_found(store: Store, name: str, length: int) -> None:
    entry = save(store)
    (entry / name).write_bytes((entry / name).read_bytes()[:length])
    assert_gone(store, entry, "is damaged")


@pytest.mark.parametrize("name", FILES[:3])
def test_a_missing_file_is_found(store: Store, name: str) -> None:
    entry = save(store)
    (entry / name).unlink()
    assert_gone(store, entry, f"is damaged: {name} is missing")


def test_an_entry_without_a_manifest_is_no_entry(store: Store) -> None:
    entry = save(store)
    (entry / "manifest.json").unlink()
    assert not store.has(DIGEST, RUN.seed)
    assert store.load(DIGEST, RUN.seed) is None
    with pytest.warns(MemkitWarning, match=r"is damaged: manifest\.json is missing; it is trained again"):
        save(store)
    assert store.load(DIGEST, RUN.seed) is not None


@pytest.mark.parametrize(
    "manifest", ["null", "[]", "{}", '{"a":' * 100_000, '{"version": 1}', '{"version": 1, "sha256": 3}', "\udcff"]
)
def test_another_manifest_is_found(store: Store, manifest: str) -> None:
    entry = save(store)
    (entry / "manifest.json").write_bytes(manifest.encode(errors="surrogateescape"))
    assert_gone(store, entry, "is damaged")


def test_an_entry_of_another_version_is_trained_again(store: Store) -> None:
    entry = save(store)
    manifest = json.loads((entry / "manifest.json").read_text())
    (entry / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))
    assert_gone(store, entry, "has version 2, this memkit writes 1")


def test_where_warnings_are_errors_the_next_run_trains(store: Store) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MemkitWarning):
            store.load(DIGEST, RUN.seed)
        assert not store.has(DIGEST, RUN.seed)


def test_damage_is_moved_away_although_somebody_removed_the_folder_for_it(store: Store) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    shutil.rmtree(store.root / "runs" / "tmp")
    assert_gone(store, entry, "is damaged")


def rewritten(entry: Path, **contents: Any) -> None:
    """Write files of an entry anew, ``run`` or ``manifest``, with checksums that verify."""
    if "run" in contents:
        (entry / "run.json").write_text(json.dumps(contents["run"]))
    manifest = contents.get("manifest", json.loads((entry / "manifest.json").read_text()))
    if "manifest" not in contents:
        manifest["sha256"] = {name: sha256((entry / name).read_bytes()).hexdigest() for name in FILES[:3]}
    (entry / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["run", "manifest"])
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_entry_of_another_form_is_damaged_although_its_checksums_verify(
    store: Store, name: str, data: st.DataObject
) -> None:
    entry = save(store)
    rewritten(entry, **{name: data.draw(mutated(json.loads((entry / f"{name}.json").read_text())))})
    assert isinstance(store.cpu_seconds(DIGEST), list)
    assert isinstance(store.made(DIGEST, RUN.seed), dict)
    assert isinstance(Store(store.root, session="first", retrain=True).has(DIGEST, RUN.seed), bool)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded = store.load(DIGEST, RUN.seed)
    if loaded is None:
        assert [w.category for w in caught] == [MemkitWarning]
        assert not entry.exists()
        return
    assert not caught
    assert check_entry(entry) == ""
    assert {type(loaded.metrics[name]) for name in ("steps", "parameters")} == {int}
    assert math.isfinite(loaded.metrics["cpu_seconds"])
    assert all(0 <= before[0] < after[0] for before, after in pairwise(loaded.history))
    json.dumps(thinned(loaded.history), allow_nan=False)
    store.save(DIGEST, {}, loaded, made={})


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"metrics": {}}, "'loss' is missing"),
        ({"metrics": {"loss": 1.0, "steps": 7.5, "parameters": 1, "cpu_seconds": 1.0}}, "7.5 is no count"),
        ({"history": "a learning curve"}, "'history' is 'a learning curve', not a list"),
        ({"history": ["12"]}, r"a learning curve is \['12'\]"),
        ({"history": [[2, 0.5], [1, 0.5]]}, "the steps of a learning curve do not rise"),
        ({"diverged": None}, "'diverged' is None, not a str"),
    ],
)
def test_what_is_wrong_with_an_entry_of_another_form_is_said(store: Store, change: dict[str, Any], wrong: str) -> None:
    entry = save(store)
    rewritten(entry, run={**json.loads((entry / "run.json").read_text()), **change})
    assert_gone(store, entry, f"is damaged: {wrong}; it is trained again$")


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_damage(store: Store, name: str) -> None:
    entry = save(store)
    (entry / name).unlink()
    (entry / name / "within").mkdir(parents=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert store.load(DIGEST, RUN.seed) is None
        save(store)
    assert len(caught) == 1
    assert "is damaged: " in str(caught[0].message)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)


@pytest.mark.parametrize("above", range(3))
def test_a_file_in_the_place_of_a_folder_is_damage(store: Store, above: int) -> None:
    entry = save(store)
    place = (entry, *entry.parents)[above]
    shutil.rmtree(place)
    place.write_text("no folder")
    assert not store.has(DIGEST, RUN.seed)
    assert store.load(DIGEST, RUN.seed) is None
    assert (store.cpu_seconds(DIGEST), store.made(DIGEST, RUN.seed)) == ([], {})
    with pytest.warns(MemkitWarning, match=f"{place} is damaged"):
        save(store)
    assert store.load(DIGEST, RUN.seed) is not None


def refusing(monkeypatch: pytest.MonkeyPatch, *, all_of_it: bool) -> None:
    """Nothing under ``runs`` can be renamed, and, with ``all_of_it``, nothing can be removed."""

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: refused() if path.name.isdecimal() else rename(path, to))
    if all_of_it:
        monkeypatch.setattr("memkit.store.damaged_runs.remove_all", lambda path: None)


def test_an_entry_that_cannot_be_moved_is_removed_where_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    refusing(monkeypatch, all_of_it=False)
    assert_gone(store, entry, "is damaged")
    save(store)
    assert store.load(DIGEST, RUN.seed) is not None


def test_an_entry_that_cannot_be_removed_counts_as_missing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    refusing(monkeypatch, all_of_it=True)
    with pytest.warns(MemkitWarning, match="is damaged"):
        assert store.load(DIGEST, RUN.seed) is None
    assert store.load(DIGEST, RUN.seed) is None, "and without a second warning"
    assert store.missing(DIGEST, [RUN.seed]) == [RUN.seed]
    with pytest.raises(MemkitError, match="a trained run could not be written to the store"):
        save(store)
    assert not store.remove(DIGEST, RUN.seed)


@pytest.fixture
def two_disks(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """``runs`` is a link to another disk."""

    def on_one_disk(renamed: Any) -> Any:
        def rename(path: Any, to: Any, **options: Any) -> None:
            top = {Path(place).relative_to(store.root).parts[0] for place in (path, to)}
            if len(top) > 1:
                raise OSError(errno.EXDEV, "Invalid cross-device link", str(path))
            renamed(path, to, **options)

        return rename

    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, on_one_disk(getattr(os, name)))


@pytest.mark.usefixtures("two_disks")
def test_runs_may_lie_on_another_disk(store: Store) -> None:
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


def test_what_training_took_is_told_without_loading_a_run(store: Store) -> None:
    assert store.cpu_seconds(DIGEST) == []
    for seed in range(12):
        cost(store, seed, 1.5)
    assert store.cpu_seconds(DIGEST) == [1.5] * 8
    assert store.cpu_seconds(DIGEST, at_most=3) == [1.5] * 3
    assert store.cpu_seconds("cd" * 16) == []
    again = Store(store.root, session="second", retrain=True)
    assert again.cpu_seconds(DIGEST) == [1.5] * 8, "what is trained again will take as long again"


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{}", '{"metrics": []}', '{"metrics": {"cpu_seconds": null}}', "\udcff"]
)
def test_what_a_damaged_run_took_is_passed_over_in_silence(store: Store, text: str) -> None:
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
            MemkitError, match=r"cannot be written .* choose another folder with --store or MEMKIT_STORE"
        ):
            Store(root).prepare()
    assert path.read_text() == "not a folder"


def test_what_a_killed_run_left_is_cleared_after_a_day(store: Store) -> None:
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
    """The disk is full at the n-th file that is written; set n."""
    at = [0]
    write = store_module.write

    def fails(path: Path, content: bytes, *, sync: bool = False) -> None:
        assert sync, "a run has cost its training, and outlasts a loss of power"
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


def test_a_full_disk_spares_the_entry_that_is_there(store: Store, full_disk: list[int]) -> None:
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
def test_a_disk_that_knows_no_locks_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    sentence = f"the store {store.root} is on a disk on which files cannot be locked .*a local disk, or the URL"
    with pytest.raises(MemkitError, match=sentence):
        store.prepare()
    with pytest.raises(MemkitError, match=sentence), store.lock(DIGEST, [1]):
        pass


def test_a_folder_in_the_place_of_a_lock_is_nobodys(store: Store) -> None:
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
    contents = files_of(DIGEST, {}, RUN, made={}, session="first")
    context = multiprocessing.get_context("spawn")
    victim = context.Process(target=killed_in, args=(store, DIGEST, RUN.seed, contents, moment))
    victim.start()
    victim.join(PATIENCE)
    assert victim.exitcode == -signal.SIGKILL
    assert store.missing(DIGEST, [RUN.seed]) == [RUN.seed]
    assert store.load(DIGEST, RUN.seed) is None
    left = files(store.root / "runs" / "tmp")
    assert left, "what it left is in the way of nobody"
    save(store)
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_jumps_costs_no_run(store: Store, monkeypatch: pytest.MonkeyPatch, hours: float) -> None:
    """Files of tomorrow, or of the day before yesterday: runs are found, loaded and verified as ever."""
    save(store)
    aside = store.root / "runs" / "tmp" / "being-written"
    aside.mkdir()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600 * hours)
    store.prepare()
    assert aside.exists() == (hours < 0), "only a clock that says so clears it away"
    assert store.missing(DIGEST, [RUN.seed]) == []
    loaded = store.load(DIGEST, RUN.seed)
    assert loaded is not None
    assert_same(loaded, RUN)
    save(store, replace(RUN, seed=4))
    assert store.missing(DIGEST, [RUN.seed, 4]) == []
