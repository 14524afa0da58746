"""Housekeeping: runs are listed, damage is found, and runs are removed, except those of accepted verdicts."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memkit import MemkitError
from memkit.cli import main
from memkit.files import remove_all
from memkit.store.housekeeping import (
    StoredRun,
    damaged,
    format_size,
    parse_size,
    pinned_digests,
    runs,
    runs_to_remove,
)
from memkit.store.measurements import save_measurement
from memkit.store.store import Store
from tests.store.test_store import RUN

OLD, NEW = "aa" * 16, "bb" * 16
RECIPE = {"task": "toys:signs", "model": "toys:Ordinary", "options": {"width": 8}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two recipes with two seeds each; the runs of ``NEW`` were used most recently."""
    made = Store(tmp_path / "store", session="first")
    made.prepare()
    for age, digest in enumerate((NEW, OLD)):
        for seed in (1, 2):
            made.save(digest, RECIPE, replace(RUN, seed=seed), made={})
            moment = 1_700_000_000 - 86_400 * age
            os.utime(folder(made, digest, seed) / "recipe.json", (moment, moment))
    save_measurement(made, "cc" * 16, 1, {"score": 0.5})
    return made


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    """Accepted verdicts that were computed from the runs of ``OLD``."""
    path = tmp_path / "accepted.json"
    path.write_text(json.dumps({"schema": 1, "claims": {"lab/it": {"arms": {"a": {"digest": OLD}, "fitted": {}}}}}))
    return path


def folder(store: Store, digest: str, seed: int) -> Path:
    return store.root / "runs" / digest[:2] / digest / str(seed)


def test_runs_are_listed(store: Store) -> None:
    (folder(store, OLD, 1).parent / "notes.txt").write_text("not a run")
    found = {(run.digest, run.seed): run for run in runs(store)}
    assert set(found) == {(digest, seed) for digest in (OLD, NEW) for seed in (1, 2)}
    one = found[NEW, 1]
    assert one.model == "Ordinary (width 8)"
    assert one.size == sum(file.stat().st_size for file in folder(store, NEW, 1).iterdir())
    assert one.used == 1_700_000_000


def test_loading_a_run_updates_its_time_of_use(store: Store) -> None:
    before = {run.digest: run.used for run in runs(store) if run.seed == 1}
    assert store.load(OLD, 1) is not None
    after = {run.digest: run.used for run in runs(store) if run.seed == 1}
    assert after[OLD] > before[OLD]
    assert after[NEW] == before[NEW]


def test_damage_is_found_and_not_moved(store: Store) -> None:
    (folder(store, OLD, 1).parent / "notes.txt").write_text("not a run")
    assert list(damaged(store)) == []
    broken = folder(store, OLD, 2) / "weights.safetensors"
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    (measurement,) = (store.root / "measurements").rglob("*.jsonl")
    measurement.write_text(measurement.read_text().replace("0.5", "0.6"))
    (folder(store, NEW, 1) / "run.json").unlink()
    found = dict(damaged(store))
    assert set(found) == {folder(store, OLD, 2), folder(store, NEW, 1), measurement}
    assert "checksum of weights.safetensors does not match" in found[folder(store, OLD, 2)]
    assert "run.json is missing" in found[folder(store, NEW, 1)]
    assert broken.is_file()


STORED_RUNS = st.builds(
    StoredRun,
    digest=st.sampled_from(["aa", "bb", "cc", "dd"]),
    seed=st.integers(0, 50),
    model=st.just(""),
    size=st.integers(0, 1000),
    used=st.floats(-1e9, 1e9),
)


@given(
    st.lists(STORED_RUNS, unique_by=lambda run: (run.digest, run.seed)),
    st.sets(st.sampled_from(["aa", "bb"])),
    st.integers(0, 20_000),
)
def test_the_least_recently_used_unpinned_runs_are_chosen_for_removal(
    stored: list[StoredRun], pinned: set[str], keep: int
) -> None:
    removed = runs_to_remove(stored, pinned, keep)
    remaining = [run for run in stored if run not in removed]
    unpinned = [run for run in remaining if run.digest not in pinned]
    assert not [run for run in removed if run.digest in pinned]
    assert sum(run.size for run in remaining) <= keep or not unpinned
    assert not removed or max(run.used for run in removed) <= min((run.used for run in unpinned), default=float("inf"))
    assert not removed or sum(run.size for run in remaining) + removed[-1].size > keep, "no more than necessary"


def test_a_dry_run_removes_nothing_and_accepted_runs_stay(
    store: Store, accepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["store", "gc", "--store", str(store.root), "--accepted", str(accepted)]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert "2 of 4 runs would be removed" in output
    assert "add --delete" in output
    assert len(list(runs(store))) == 4

    assert main([*arguments, "--delete"]) == 0
    assert "2 of 4 runs removed" in capsys.readouterr().out
    assert {run.digest for run in runs(store)} == {OLD}
    assert store.load(OLD, 1) is not None


def test_runs_that_cannot_be_removed_are_reported_and_the_others_are_removed(
    store: Store, accepted: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = folder(store, NEW, 1)
    rename = Path.rename

    def renamed(path: Path, to: Path) -> Path:
        if path == stays:
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(
        "memkit.store.damaged_runs.remove_all", lambda path: None if path == stays else remove_all(path)
    )
    assert main(["store", "gc", "--store", str(store.root), "--accepted", str(accepted), "--delete"]) == 0
    output = capsys.readouterr().out
    assert "1 of 4 runs removed" in output
    assert "1 run could not be removed" in output
    assert {(run.digest, run.seed) for run in runs(store)} == {(OLD, 1), (OLD, 2), (NEW, 1)}


def test_a_malformed_entry_is_damage_even_if_its_checksums_match(store: Store) -> None:
    entry = folder(store, NEW, 1)
    content = json.dumps({**json.loads((entry / "run.json").read_text()), "metrics": {}})
    (entry / "run.json").write_text(content)
    manifest = json.loads((entry / "manifest.json").read_text())
    manifest["sha256"]["run.json"] = sha256(content.encode()).hexdigest()
    (entry / "manifest.json").write_text(json.dumps(manifest))
    assert list(damaged(store)) == [(entry, "is damaged: 'loss' is missing")]


def test_the_least_recently_used_runs_are_removed_first(store: Store, tmp_path: Path) -> None:
    size = sum(run.size for run in runs(store) if run.digest == NEW)
    nothing = tmp_path / "none.json"
    assert (
        main(["store", "gc", "--store", str(store.root), "--accepted", str(nothing), "--keep", str(size), "--delete"])
        == 0
    )
    assert {run.digest for run in runs(store)} == {NEW}


def test_nothing_is_removed_if_the_accepted_verdicts_cannot_be_read(
    store: Store, accepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accepted.write_text("{")
    assert main(["store", "gc", "--store", str(store.root), "--accepted", str(accepted), "--delete"]) == 4
    assert "is damaged" in capsys.readouterr().err
    assert len(list(runs(store))) == 4


def test_the_command_line_lists_verifies_and_removes_runs(
    store: Store, accepted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "ls", "--store", str(store.root), "--accepted", str(accepted)]) == 0
    head, newest, oldest, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["recipe", "runs", "size", "used", "model"]
    assert newest.startswith(NEW[:12])
    assert "accepted" not in newest
    assert "accepted" in oldest
    assert "4 runs" in total
    assert "1 measurement," in total
    assert main(["store", "verify", "--store", str(store.root)]) == 0
    (folder(store, OLD, 2) / "run.json").write_text("{}")
    assert main(["store", "verify", "--store", str(store.root)]) == 1
    assert "1 damaged" in capsys.readouterr().out


def test_a_missing_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "ls", "--store", str(tmp_path)]) == 4
    assert "there is no store in" in capsys.readouterr().err


def test_a_run_that_was_used_in_the_future_is_listed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    os.utime(folder(store, NEW, 1) / "recipe.json", (4e9, 4e9))
    assert main(["store", "ls", "--store", str(store.root)]) == 0
    assert "in the future" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500M", 500_000_000), ("2G", 2 * 10**9), ("1.5 GB", 1_500_000_000), ("12k", 12_000), ("7b", 7)],
)
def test_sizes_are_parsed_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1X", "inf", "nan", "G"])
def test_texts_that_are_not_sizes_are_refused(text: str) -> None:
    with pytest.raises(MemkitError, match="is not a size; write 500M or 2G, for example"):
        parse_size(text)


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (885_000_000, "885 MB")])
def test_sizes_are_formatted_with_a_unit(size: int, text: str) -> None:
    assert format_size(size) == text


def test_nothing_is_pinned_if_nothing_was_accepted(tmp_path: Path) -> None:
    assert pinned_digests([tmp_path / "none.json"]) == set()
