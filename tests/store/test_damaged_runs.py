"""A damaged run is moved out of the way, reported with a warning, and trained again."""

from __future__ import annotations

import errno
import json
import math
import shutil
import warnings
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memkit import MemkitError, MemkitWarning
from memkit.evidence.learning_curves import thin_curve
from memkit.store.entries import find_damage
from memkit.store.store import Store
from tests.machines.mutated import mutated
from tests.store.entries import DIGEST, FILES, RUN, assert_gone, assert_same, save


@pytest.mark.parametrize("name", FILES[:3])
@given(data=st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_found(store: Store, name: str, data: st.DataObject) -> None:
    entry = save(store)
    content = bytearray((entry / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (entry / name).write_bytes(content)
    assert_gone(store, entry, f"is damaged: the checksum of {name} does not match")


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


def test_an_entry_without_a_manifest_does_not_count(store: Store) -> None:
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
def test_a_wrong_manifest_is_found(store: Store, manifest: str) -> None:
    entry = save(store)
    (entry / "manifest.json").write_bytes(manifest.encode(errors="surrogateescape"))
    assert_gone(store, entry, "is damaged")


def test_an_entry_of_another_version_is_trained_again(store: Store) -> None:
    entry = save(store)
    manifest = json.loads((entry / "manifest.json").read_text())
    (entry / "manifest.json").write_text(json.dumps({**manifest, "version": 2}))
    assert_gone(store, entry, "has version 2; this memkit reads version 1")


def test_if_warnings_are_errors_the_next_run_trains(store: Store) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(MemkitWarning):
            store.load(DIGEST, RUN.seed)
        assert not store.has(DIGEST, RUN.seed)


def test_damage_is_moved_even_if_its_target_folder_was_removed(store: Store) -> None:
    entry = save(store)
    (entry / "run.json").write_text("{}")
    shutil.rmtree(store.root / "runs" / "tmp")
    assert_gone(store, entry, "is damaged")


def rewritten(entry: Path, **contents: Any) -> None:
    """Replace files of an entry, ``run`` or ``manifest``, with checksums that match."""
    if "run" in contents:
        (entry / "run.json").write_text(json.dumps(contents["run"]))
    manifest = contents.get("manifest", json.loads((entry / "manifest.json").read_text()))
    if "manifest" not in contents:
        manifest["sha256"] = {name: sha256((entry / name).read_bytes()).hexdigest() for name in FILES[:3]}
    (entry / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", ["run", "manifest"])
@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_entry_is_damaged_even_if_its_checksums_match(store: Store, name: str, data: st.DataObject) -> None:
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
    assert find_damage(entry) == ""
    assert {type(loaded.metrics[name]) for name in ("steps", "parameters")} == {int}
    assert math.isfinite(loaded.metrics["cpu_seconds"])
    assert all(0 <= before[0] < after[0] for before, after in pairwise(loaded.history))
    json.dumps(thin_curve(loaded.history), allow_nan=False)
    store.save(DIGEST, {}, loaded, made={})


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        ({"metrics": {}}, "'loss' is missing"),
        ({"metrics": {"loss": 1.0, "steps": 7.5, "parameters": 1, "cpu_seconds": 1.0}}, "7.5 is not a count"),
        ({"history": "a learning curve"}, "'history' is 'a learning curve', not a list"),
        ({"history": ["12"]}, r"a learning curve must be a list of \[step, value\], not \['12'\]"),
        ({"history": [[2, 0.5], [1, 0.5]]}, "the steps of a learning curve do not increase"),
        ({"diverged": None}, "'diverged' is None, not a str"),
    ],
)
def test_the_warning_says_what_is_wrong_with_a_malformed_entry(
    store: Store, change: dict[str, Any], damage: str
) -> None:
    entry = save(store)
    rewritten(entry, run={**json.loads((entry / "run.json").read_text()), **change})
    assert_gone(store, entry, f"is damaged: {damage}; it is trained again$")


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
    folder = (entry, *entry.parents)[above]
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    assert not store.has(DIGEST, RUN.seed)
    assert store.load(DIGEST, RUN.seed) is None
    assert (store.cpu_seconds(DIGEST), store.made(DIGEST, RUN.seed)) == ([], {})
    with pytest.warns(MemkitWarning, match=f"{folder} is damaged"):
        save(store)
    assert store.load(DIGEST, RUN.seed) is not None


def refusing(monkeypatch: pytest.MonkeyPatch, *, all_of_it: bool) -> None:
    """Let every attempt to rename an entry fail and, with ``all_of_it``, also every attempt to remove one."""

    def refused(*_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda path, to: refused() if path.name.isdecimal() else rename(path, to))
    if all_of_it:
        monkeypatch.setattr("memkit.store.damaged_runs.remove_all", lambda path: None)


def test_an_entry_that_cannot_be_moved_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert store.load(DIGEST, RUN.seed) is None, "there is no second warning"
    assert store.missing(DIGEST, [RUN.seed]) == [RUN.seed]
    with pytest.raises(MemkitError, match="a trained run could not be written to the store"):
        save(store)
    assert not store.remove(DIGEST, RUN.seed)
