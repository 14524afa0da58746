"""Measurements: they are stored, and made again if they are damaged."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError, MemkitWarning
from memkit.store.measurements import (
    count_measurements,
    damaged_measurements,
    load_measurement,
    measurement_key,
    revoke_measurement,
    save_measurement,
    stored_seeds,
)
from memkit.store.store import Store
from tests.machines.elsewhere import Elsewhere

KEY = measurement_key({"claim": "x"})


def save_some(store: Store, first: int, text: str) -> None:
    """Save 50 measurements."""
    for seed in range(50):
        save_measurement(store, KEY, first + seed, text)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_measurements_are_stored_by_key_and_seed(store: Store) -> None:
    assert load_measurement(store, KEY, 1) is None
    content = {"claim": "s/n", "seed": 1, "observations": [[1, "a", "accuracy", 1 / 3, ""]], "arms": {}}
    save_measurement(store, KEY, 1, content)
    assert load_measurement(store, KEY, 1) == content
    assert load_measurement(store, KEY, 11) is None
    assert load_measurement(store, measurement_key({"claim": "y"}), 1) is None
    save_measurement(store, KEY, 11, {"seed": 11})
    save_measurement(store, KEY, 1, {"claim": "other"})
    assert [load_measurement(store, KEY, seed) for seed in (1, 11)] == [content, {"seed": 11}], "the first one counts"


def test_the_seeds_of_a_claim_are_in_one_file(store: Store) -> None:
    for seed in (1, 2):
        save_measurement(store, KEY, seed, {})
    (file,) = (path for path in store.root.rglob("*") if path.is_file())
    assert (file.stem, count_measurements(store)) == (KEY, (2, file.stat().st_size))
    assert stored_seeds(store, KEY, [2, 3]) == {2}


def test_the_metrics_of_a_diverged_arm_can_be_stored(store: Store) -> None:
    save_measurement(store, KEY, 1, {"arms": {"a": {"loss": math.nan, "steps": 3}}, "worst": [math.inf]})
    assert load_measurement(store, KEY, 1) == {"arms": {"a": {"loss": "nan", "steps": 3}}, "worst": ["inf"]}


DAMAGED = r"the stored measurement of seed 1 in .*\.jsonl is damaged.*; it is measured again"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole.replace(b"12345", b"12346"),
        lambda whole: whole.replace(b"sha256", b"sha257"),
        lambda whole: b"\n" + bytes(300) + b"\n",
        lambda whole: b"\n[]\n",
        lambda whole: whole[:-10] + b"\n",
    ],
)
def test_a_damaged_measurement_is_ignored_with_a_warning(store: Store, damage: Callable[[bytes], bytes]) -> None:
    save_measurement(store, KEY, 1, {"value": 12345})
    (path,) = (store.root / "measurements").rglob("*.jsonl")
    path.write_bytes(damage(path.read_bytes()))
    save_measurement(store, KEY, 2, {"value": 2})
    assert [found for found, _ in damaged_measurements(store)] == [path]
    with pytest.warns(MemkitWarning, match=DAMAGED):
        assert load_measurement(store, KEY, 1) is None
    assert load_measurement(store, KEY, 1) is None, "there is no second warning"
    assert load_measurement(store, KEY, 2) == {"value": 2}
    assert list(damaged_measurements(store)) == []
    save_measurement(store, KEY, 1, {"value": 12345})
    assert load_measurement(store, KEY, 1) == {"value": 12345}


def test_a_measurement_of_another_seed_is_not_used(store: Store) -> None:
    save_measurement(store, KEY, 3, {"value": 12345})
    (path,) = (store.root / "measurements").rglob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"seed": 3', b'"seed": 1'))
    with pytest.warns(MemkitWarning, match=DAMAGED):
        assert load_measurement(store, KEY, 1) is None


def test_a_file_in_the_place_of_a_folder_is_damage(store: Store) -> None:
    folder = store.root / "measurements" / KEY[:2]
    folder.parent.mkdir(parents=True)
    folder.write_text("not a folder")
    assert stored_seeds(store, KEY, [1]) == set()
    assert count_measurements(store) == (0, 0)
    with pytest.warns(MemkitWarning, match=DAMAGED):
        assert load_measurement(store, KEY, 1) is None
    save_measurement(store, KEY, 1, {"value": 1})
    assert load_measurement(store, KEY, 1) == {"value": 1}


def test_a_folder_in_the_place_of_a_file_is_damage(store: Store) -> None:
    (store.root / "measurements" / KEY[:2] / f"{KEY}.jsonl" / "x").mkdir(parents=True)
    assert stored_seeds(store, KEY, [1]) == set()
    with pytest.warns(MemkitWarning, match=DAMAGED):
        assert load_measurement(store, KEY, 1) is None
    save_measurement(store, KEY, 1, {"value": 1})
    assert load_measurement(store, KEY, 1) == {"value": 1}


@given(st.data())
def test_a_process_that_is_killed_while_it_writes_loses_at_most_its_own_measurement(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    save_measurement(store, KEY, 1, {"value": 1})
    (path,) = (store.root / "measurements").rglob("*.jsonl")
    before = path.stat().st_size
    save_measurement(store, KEY, 2, {"value": 2})
    written = data.draw(st.integers(before, path.stat().st_size - 2))
    with path.open("r+b") as file:
        file.truncate(written)
    assert load_measurement(store, KEY, 2) is None, "without a warning: no completed measurement is lost"
    save_measurement(store, KEY, 3, {"value": 3})
    assert [load_measurement(store, KEY, seed) for seed in (1, 3)] == [{"value": 1}, {"value": 3}]
    save_measurement(store, KEY, 2, {"value": 4})
    assert load_measurement(store, KEY, 2) == {"value": 4}


def test_several_processes_may_write_at_once(store: Store) -> None:
    """Lines of 20 kB are longer than the buffers of pipes and of Python, which would split them."""
    text = "x" * 20_000
    others = Elsewhere(), Elsewhere()
    try:
        for done in [other.call(save_some, store, first, text) for other, first in zip(others, (0, 100), strict=True)]:
            done.result()
    finally:
        for other in others:
            other.close()
    assert all(load_measurement(store, KEY, first + seed) == text for first in (0, 100) for seed in range(50))


def test_a_full_disk_is_reported_in_one_sentence_and_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_measurement(store, KEY, 1, {"value": 1})
    written = os.write
    monkeypatch.setattr(os, "write", lambda file, content: written(file, content[:30]))
    with pytest.raises(MemkitError, match=r"No space left on device.*--store"):
        save_measurement(store, KEY, 1, {"value": 2})
    monkeypatch.undo()
    assert load_measurement(store, KEY, 1) == {"value": 1}
    save_measurement(store, KEY, 2, {"value": 3})
    assert load_measurement(store, KEY, 2) == {"value": 3}


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=4), st.data())
def test_the_key_depends_on_the_contents_alone(content: dict[str, int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(content.items())))
    assert measurement_key(dict(order)) == measurement_key(content)
    name = data.draw(st.sampled_from(sorted(content)))
    assert measurement_key({**content, name: content[name] + 1}) != measurement_key(content)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)  # the file takes no space on the disk


@pytest.mark.parametrize("make", [pipe, huge, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_device_in_the_place_of_a_file_is_damage_and_does_not_block(
    store: Store, make: Callable[[Path], None]
) -> None:
    save_measurement(store, KEY, 1, {"value": 1})
    (path,) = (store.root / "measurements").rglob("*.jsonl")
    path.unlink()
    make(path)
    assert stored_seeds(store, KEY, [1]) == set()
    assert count_measurements(store) == (0, 0)
    assert [found for found, _ in damaged_measurements(store)] == [path]
    with pytest.warns(MemkitWarning, match=DAMAGED):
        assert load_measurement(store, KEY, 1) is None
    save_measurement(store, KEY, 1, {"value": 2})
    assert load_measurement(store, KEY, 1) == {"value": 2}


def test_a_revoked_measurement_is_missing_until_it_is_made_again(store: Store) -> None:
    for seed in (1, 2):
        save_measurement(store, KEY, seed, {"value": seed})
    revoke_measurement(store, KEY, 1)
    assert [load_measurement(store, KEY, seed) for seed in (1, 2)] == [None, {"value": 2}]
    save_measurement(store, KEY, 1, {"value": 3})
    assert load_measurement(store, KEY, 1) == {"value": 3}
