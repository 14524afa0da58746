"""What was measured is kept, and measured again where it was damaged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError, MemkitWarning
from memkit.training import checked
from memkit.training.measurements import load_measurement, measurement_key, save_measurement
from memkit.training.store import Store

KEY = measurement_key({"claim": "x"})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_what_was_measured_is_kept_by_key_and_seed(store: Store) -> None:
    assert load_measurement(store, KEY, 1) is None
    content = {"claim": "s/n", "seed": 1, "observations": [[1, "a", "accuracy", 1 / 3, ""]], "arms": {}}
    save_measurement(store, KEY, 1, content)
    assert load_measurement(store, KEY, 1) == content
    assert load_measurement(store, KEY, 11) is None
    assert load_measurement(store, measurement_key({"claim": "y"}), 1) is None
    save_measurement(store, KEY, 11, {"seed": 11})
    save_measurement(store, KEY, 1, {"claim": "other"})
    assert [load_measurement(store, KEY, seed) for seed in (1, 11)] == [{"claim": "other"}, {"seed": 11}]


def test_the_seeds_of_a_claim_lie_in_one_folder(store: Store) -> None:
    for seed in (1, 2):
        save_measurement(store, KEY, seed, {})
    (folder,) = {path.parent for path in store.root.rglob("*.json")}
    assert (folder.name, sorted(path.name for path in folder.iterdir())) == (KEY, ["1.json", "2.json"])


def test_the_metrics_of_an_arm_that_diverged_can_be_kept(store: Store) -> None:
    save_measurement(store, KEY, 1, {"arms": {"a": {"loss": math.nan, "steps": 3}}, "worst": [math.inf]})
    assert load_measurement(store, KEY, 1) == {"arms": {"a": {"loss": "nan", "steps": 3}}, "worst": ["inf"]}


def test_a_damaged_measurement_is_passed_over_with_a_warning(store: Store) -> None:
    for seed in (1, 2):
        save_measurement(store, KEY, seed, {"value": 12345})
    (path,) = (store.root / "measurements").rglob("1.json")
    whole = path.read_text()
    for text in (whole.replace("12345", "12346"), whole[:-10], "", "[]"):
        path.write_text(text)
        with pytest.warns(MemkitWarning, match=rf"the stored measurement {path} is damaged.*; it is measured again"):
            assert load_measurement(store, KEY, 1) is None
        assert load_measurement(store, KEY, 1) is None, "and without a second warning"
    assert load_measurement(store, KEY, 2) == {"value": 12345}
    save_measurement(store, KEY, 1, {"value": 12345})
    assert load_measurement(store, KEY, 1) == {"value": 12345}


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    save_measurement(store, KEY, 1, {"value": 1})

    def fails(path: Path, content: bytes, *, sync: bool) -> None:
        path.write_bytes(content[:3])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checked, "write", fails)
    with pytest.raises(MemkitError, match=r"No space left on device.*--store"):
        save_measurement(store, KEY, 1, {"value": 2})
    assert load_measurement(store, KEY, 1) == {"value": 1}
    assert len([path for path in store.root.rglob("*") if path.is_file()]) == 1


@given(st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=4), st.data())
def test_the_key_is_the_contents(content: dict[str, int], data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(content.items())))
    assert measurement_key(dict(order)) == measurement_key(content)
    name = data.draw(st.sampled_from(sorted(content)))
    assert measurement_key({**content, name: content[name] + 1}) != measurement_key(content)
