"""A store that machines share, at a URL: on a server with the S3 protocol, in a folder, and with faults."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import importlib.util
import io
import json
import os
import pickle
import threading
import uuid
import warnings
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError, MemkitWarning, warn
from memkit.recipes.recipe import Recipe
from memkit.scheduling.cohorts import Cohort, Training, load_or_train, train_missing
from memkit.scheduling.executor import Result, train_cohort
from memkit.store import entries
from memkit.store import remote as remote_module
from memkit.store import store as store_module
from memkit.store.dependencies import ProjectFiles
from memkit.store.measurements import load_measurement, save_measurement, stored_seeds
from memkit.store.remote import Clock, Remote
from memkit.store.store import Store, named_store
from memkit.training.trained_run import TrainedRun
from tests.machines.clocks import PATIENCE, Skipping, until
from tests.machines.elsewhere import Elsewhere
from tests.machines.servers import Fault, Held, Server, answer_lost, cut_off, slow, unavailable
from tests.machines.toys import Ordinary, not_loaded, signs

DIGEST, KEY = "ab" * 16, "cd" * 16
RECIPE = Recipe(signs, Ordinary, steps=5)
RUN = TrainedRun(
    seed=3,
    state={"weight": torch.arange(6.0).reshape(2, 3)},
    metrics={"loss": 0.25, "steps": 5, "parameters": 6, "cpu_seconds": 1.5},
    history=((0, 1.0), (5, 0.25)),
    validation=(),
    diverged="",
)


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str | Remote], Store]:
    """Return a function that makes a new machine, which has its own empty folder."""

    def made(remote: str | Remote) -> Store:
        folder = tmp_path / uuid.uuid4().hex
        Store(folder).prepare()
        url = remote if isinstance(remote, str) else remote.url
        return Store(folder, remote=Remote(url, clock=Skipping()))

    return made


Machine = Callable[[str | Remote], Store]


def saved(store: Store) -> None:
    store.save(DIGEST, {"task": "t"}, RUN, made={"device": "cpu"})


def same(run: TrainedRun | None) -> bool:
    return (
        run is not None
        and (run.metrics, run.history) == (RUN.metrics, RUN.history)
        and bool((run.state["weight"] == RUN.state["weight"]).all())
    )


# --- objects --------------------------------------------------------------------------------------------------


def test_objects_are_created_listed_read_and_deleted(anywhere: Remote) -> None:
    anywhere.check()
    assert anywhere.names("a") == set()
    assert anywhere.get("a/1") is None
    assert anywhere.put("a/1", b"one")
    assert anywhere.put("a/1", b"another")
    assert anywhere.put("a/b/2", b"two")
    assert anywhere.get("a/1") == b"another"
    assert anywhere.names("a") == {"1", "b"}
    assert anywhere.create("a/3", b"mine") is True
    assert anywhere.create("a/3", b"theirs") is False
    assert anywhere.get("a/3") == b"mine"
    anywhere.delete("a/3")
    anywhere.delete("a/3")
    assert anywhere.names("a") == {"1", "b"}


def test_only_one_of_several_writers_creates_an_object(anywhere: Remote) -> None:
    anywhere.check()
    made: list[bool | None] = []
    others = [Remote(anywhere.url, clock=Skipping()) for _ in range(8)]
    threads = [
        threading.Thread(target=lambda i=i, other=other: made.append(other.create("x", b"%d" % i)))  # type: ignore[misc]
        for i, other in enumerate(others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, made)) == [False] * 7 + [True]


def test_a_remote_is_pickled_without_its_clock() -> None:
    sent = pickle.loads(pickle.dumps(Remote("memory://x", 7.0, clock=Skipping())))
    assert (sent.url, sent.lease, type(sent.clock)) == ("memory://x", 7.0, Clock)


def test_the_default_clock_is_real_time() -> None:
    clock, event = Remote("memory://x").clock, threading.Event()
    before = clock.now()
    clock.sleep(0.001)
    assert not clock.wait(event, 0.001)
    assert clock.now() > before
    event.set()
    assert clock.wait(event, PATIENCE)


# --- a store --------------------------------------------------------------------------------------------------


def test_a_run_that_one_machine_trains_is_available_to_the_others(anywhere: Remote, machine: Machine) -> None:
    here, there = machine(anywhere), machine(anywhere)
    here.prepare()
    assert there.missing(DIGEST, [3, 4]) == [3, 4]
    saved(here)
    assert there.missing(DIGEST, [3, 4]) == [4]
    assert there.has(DIGEST, 3)
    assert same(there.load(DIGEST, 3))
    assert there.made(DIGEST, 3) == {"device": "cpu"}
    save_measurement(here, KEY, 3, {"value": float("nan")})
    assert stored_seeds(there, KEY, [3, 4]) == {3}
    assert load_measurement(there, KEY, 3) == {"value": "nan"}
    assert load_measurement(there, KEY, 4) is None


def test_results_that_another_machine_made_from_other_files_are_made_again(
    anywhere: Remote, machine: Machine, tmp_path: Path
) -> None:
    """Each machine has its own copy of the project."""
    here, there = machine(anywhere), machine(anywhere)
    for store, text in ((here, "1"), (there, "2")):
        project = tmp_path / f"project-{text}"
        project.mkdir()
        (project / "table.csv").write_text(text)
        store.files = ProjectFiles(project)
    assert here.files is not None
    record = {"table.csv": here.files.checksum("table.csv")}
    here.save(DIGEST, {"task": "t"}, RUN, made={"device": "cpu"}, depends=record)
    save_measurement(here, KEY, 3, {"value": 1}, depends=record)
    for store in (here, there):
        fine = store is here
        assert same(store.load(DIGEST, 3)) == fine
        assert store.missing(DIGEST, [3]) == ([] if fine else [3])
        assert load_measurement(store, KEY, 3) == ({"value": 1} if fine else None)
    (tmp_path / "project-2" / "table.csv").write_text("1")
    assert load_measurement(there, KEY, 3) == {"value": 1}
    assert stored_seeds(there, KEY, [3]) == {3}


def test_runs_in_the_folder_are_not_requested(server: Server, url: str, machine: Machine) -> None:
    here, there = machine(url), machine(url)
    saved(here)
    save_measurement(here, KEY, 3, {"value": 1})
    assert same(there.load(DIGEST, 3))
    assert load_measurement(there, KEY, 3) == {"value": 1}
    server.requests.clear()
    for store in (here, there):
        assert store.missing(DIGEST, [3]) == []
        assert same(store.load(DIGEST, 3))
        assert stored_seeds(store, KEY, [3]) == {3}
        assert load_measurement(store, KEY, 3) == {"value": 1}
    assert not server.requests


def test_runs_that_are_damaged_in_the_folder_are_fetched_again(url: str, machine: Machine) -> None:
    here = machine(url)
    train_missing(RECIPE, RECIPE.digest, [1], here)
    weights = here.root / "runs" / RECIPE.digest[:2] / RECIPE.digest / "1" / "weights.safetensors"
    weights.write_bytes(b"\0" * 10)
    with pytest.warns(MemkitWarning, match="is damaged"):
        run = load_or_train(RECIPE, RECIPE.digest, 1, here)
    assert here.made(RECIPE.digest, 1)["cohort"] == 1
    assert run.seed == 1
    assert weights.stat().st_size > 10


def test_retraining_ignores_runs_of_earlier_sessions(url: str, machine: Machine) -> None:
    saved(machine(url))
    again = machine(url)
    again.session, again.retrain = "again", True
    assert again.missing(DIGEST, [3]) == [3]
    assert again.load(DIGEST, 3) is None
    saved(again)
    other = machine(url)
    other.session, other.retrain = "again", True
    assert other.missing(DIGEST, [3]) == []
    assert same(other.load(DIGEST, 3))


# --- data from other machines ---------------------------------------------------------------------------------


def rejected(server: Server, url: str, store: Store, content: bytes) -> None:
    name = f"{url.removeprefix('s3://lab/')}/runs/ab/{DIGEST}/3.zip"
    server[name] = content
    before = sorted(path for path in store.root.rglob("*") if path.is_file())
    with pytest.warns(MemkitWarning, match="it is trained again"):
        assert store.load(DIGEST, 3) is None
    assert name not in server, "it was deleted"
    assert sorted(path for path in store.root.rglob("*") if path.is_file()) == before
    assert store.missing(DIGEST, [3]) == [3]


@pytest.mark.parametrize("at", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_flipped_bit_is_found_or_harmless(server: Server, url: str, machine: Machine, at: float) -> None:
    saved(machine(url))
    name = f"{url.removeprefix('s3://lab/')}/runs/ab/{DIGEST}/3.zip"
    content = bytearray(server[name])
    content[int(at * len(content))] ^= 4
    there = machine(url)
    server[name] = bytes(content)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = there.load(DIGEST, 3)
    if caught:
        assert run is None
        assert name not in server
    else:
        assert same(run), "some bits do not belong to the run, such as the dates in the archive's directory"


def archive(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return packed.getvalue()


FOUR = ("weights.safetensors", "run.json", "recipe.json", "manifest.json")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not an archive", id="no archive"),
        pytest.param(archive({"../../../escaped": b"x"}), id="a path that escapes"),
        pytest.param(archive({"/tmp/escaped": b"x", **dict.fromkeys(FOUR, b"{}")}), id="a path from the root"),
        pytest.param(archive(dict.fromkeys(FOUR[:3], b"{}")), id="a file is missing"),
        pytest.param(archive(dict.fromkeys(FOUR, b"{}")), id="an empty manifest"),
        pytest.param(archive(dict.fromkeys(FOUR, b"0" * 10**6), zipfile.ZIP_DEFLATED), id="what unfolds"),
        pytest.param(archive(dict.fromkeys(FOUR, b"[" * 10**5)), id="deep nesting"),
    ],
)
def test_an_object_that_is_not_a_run_is_deleted_and_ignored(
    server: Server, url: str, machine: Machine, content: bytes
) -> None:
    rejected(server, url, machine(url), content)


def test_an_object_with_the_manifest_of_another_run_is_refused(server: Server, url: str, machine: Machine) -> None:
    saved(machine(url))
    folder = url.removeprefix("s3://lab/")
    content = server[f"{folder}/runs/ab/{DIGEST}/3.zip"]
    there = machine(url)
    server[f"{folder}/runs/ab/{DIGEST}/4.zip"] = content
    with pytest.warns(MemkitWarning, match="it contains a different run from the one that its path names"):
        assert there.load(DIGEST, 4) is None


@given(st.binary(max_size=300))
def test_objects_of_arbitrary_bytes_are_ignored_with_a_warning(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    remote = Remote(f"memory://{uuid.uuid4().hex}")
    store = Store(tmp_path_factory.mktemp("store"), remote=remote)
    remote.put(f"runs/ab/{DIGEST}/3.zip", content)
    remote.put(f"measurements/cd/{KEY}/3.json", content)
    with pytest.warns(MemkitWarning):
        assert store.load(DIGEST, 3) is None
    with pytest.warns(MemkitWarning):
        assert load_measurement(store, KEY, 3) is None


def test_an_object_that_is_too_large_is_not_fetched(
    url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(machine(url))
    there = machine(url)
    monkeypatch.setattr(remote_module, "MAX_OBJECT_SIZE", 100)
    with pytest.warns(MemkitWarning, match="is larger than 100 bytes; continuing"):
        assert there.load(DIGEST, 3) is None


# --- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [unavailable, cut_off, answer_lost, slow])
def test_a_transient_fault_does_not_lose_a_run(server: Server, url: str, machine: Machine, fault: Fault) -> None:
    here, there = machine(url), machine(url)
    server.faults.append(fault)
    saved(here)
    server.faults.append(fault)
    assert there.missing(DIGEST, [3, 4]) == [4]
    server.faults.append(fault)
    assert same(there.load(DIGEST, 3))
    server.faults.append(fault)
    third = Remote(url, clock=Skipping())
    assert third.create("lease", b"mine") is True, "the lease is created even if the answer was lost"
    assert not server.faults


def test_a_run_is_written_completely_or_not_at_all(server: Server, url: str, machine: Machine) -> None:
    here, there = machine(url), machine(url)
    held = Held()
    server.faults.append(held)
    writing = threading.Thread(target=saved, args=(here,))
    writing.start()
    until(held.came.is_set)
    for _ in range(2):
        assert there.missing(DIGEST, [3]) == [3]
        assert there.load(DIGEST, 3) is None
    held.go.set()
    until(lambda: there.has(DIGEST, 3))
    assert same(there.load(DIGEST, 3))
    writing.join(PATIENCE)


def test_several_machines_may_save_the_same_run(url: str, machine: Machine) -> None:
    stores = [machine(url) for _ in range(4)]
    threads = [threading.Thread(target=saved, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(machine(url).load(DIGEST, 3))


def test_if_the_server_is_down_work_continues_on_this_machine(
    server: Server, url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    here = machine(url)
    server.down = True

    def train_and_measure() -> bool:
        save_measurement(here, KEY, 3, {"value": 1})
        return load_or_train(RECIPE, RECIPE.digest, 1, here).seed == 1

    with pytest.warns(MemkitWarning, match=r"Service Unavailable; continuing with what is on this machine") as caught:
        assert train_and_measure()
    assert load_measurement(here, KEY, 3) == {"value": 1}
    assert len({str(warning.message) for warning in caught}) == 1
    server.requests.clear()
    assert here.missing(DIGEST, [3]) == [3]
    assert not server.requests, "the server is not called again for a while"
    server.down = False
    assert here.remote is not None
    here.remote.clock.sleep(121)
    train_missing(RECIPE, RECIPE.digest, [1, 2], here)
    assert machine(url).missing(RECIPE.digest, [1, 2]) == [1], (
        "what was trained in the meantime is only on this machine"
    )


# --- names ----------------------------------------------------------------------------------------------------


def test_the_name_of_a_store_is_a_url_or_a_path(tmp_path: Path) -> None:
    here, root = tmp_path / "sub", tmp_path
    assert str(named_store(None, here, root)) == str(root / ".memkit")
    assert str(named_store("a", here, root)) == str(here / "a")
    shared = named_store("s3://lab/store/", here, root)
    assert (str(shared), shared.root) == ("s3://lab/store", root / ".memkit")


def test_passwords_are_not_shown() -> None:
    remote = Remote("s3://key:secret@bucket/folder?token=secret")
    assert str(remote) == str(Store(Path("x"), remote=remote)) == "s3://bucket/folder"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s4://lab/store", "has an address that cannot be parsed .*; write s3://bucket/folder"),
        ("s3://no-such-bucket/store", "cannot be used .*; check that it exists"),
        ("file:///proc/nowhere", "cannot be used .*; check that it exists"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_with_a_message(server: Server, url: str, says: str) -> None:
    with pytest.raises(MemkitError, match=f"the store {url} {says}"):
        Remote(url).check()


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="it is installed")
def test_a_missing_package_is_named() -> None:
    with pytest.raises(MemkitError, match=r"needs a package that is not installed .*\[gs\] for gs:"):
        Remote("gs://lab/store").check()


def test_a_server_that_creates_an_object_twice_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(f"memory://{uuid.uuid4().hex}")
    files: Any = remote._files[0]
    plain = files.pipe_file

    def without_conditions(path: str, content: bytes, mode: str = "overwrite") -> None:
        if mode == "create":
            raise OSError(errno.ENOSYS, "not implemented")
        plain(path, content)

    monkeypatch.setattr(files, "pipe_file", without_conditions)
    with pytest.warns(MemkitWarning, match="so two machines may train the same run"):
        remote.check()


@pytest.mark.parametrize("fault", ["write", "replace"])
def test_a_full_disk_under_a_shared_folder_leaves_the_old_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    remote = Remote(f"file://{tmp_path}/shared", clock=Skipping())
    assert remote.put("runs/ab/1.zip", b"before")

    def full(path: Path, *_: object) -> None:
        if fault == "write":
            path.write_bytes(b"aft")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((remote_module, "write", full) if fault == "write" else (os, "replace", full)))
    with pytest.warns(MemkitWarning, match="No space left on device"):
        assert not remote.put("runs/ab/1.zip", b"after", always=True)
    found = {path.name: path.read_bytes() for path in (tmp_path / "shared").rglob("*") if path.is_file()}
    assert found == {"1.zip": b"before"}


# --- attacks --------------------------------------------------------------------------------------------------


def test_two_processes_fetch_the_same_runs(tmp_path: Path, machine: Machine, elsewhere: Elsewhere) -> None:
    first = machine(f"file://{tmp_path}/shared")
    seeds = range(12)
    for seed in seeds:
        first.save(DIGEST, {}, dataclasses.replace(RUN, seed=seed), made={})
    there = machine(f"file://{tmp_path}/shared")
    ready, go = tmp_path / "ready", tmp_path / "go"
    theirs = elsewhere.call(not_loaded, there, DIGEST, seeds, ready, go)
    until(lambda: ready.exists() or theirs.done())
    with ThreadPoolExecutor(2) as pool:  # as well as two threads of this process
        ours = [pool.submit(not_loaded, pickle.loads(pickle.dumps(there)), DIGEST, seeds, go, go) for _ in range(2)]
        assert [lost.result(PATIENCE) for lost in (theirs, *ours)] == [[], [], []]


def test_if_warnings_are_errors_a_fault_is_printed(
    url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = machine(url)
    assert there.remote is not None
    monkeypatch.setattr(there.remote, "_call", lambda call, default, always=False: (warn("a fault"), default)[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert there.missing(DIGEST, [3]) == [3]
        assert there.load(DIGEST, 3) is None
        saved(there)
    assert "memkit: a fault" in capsys.readouterr().err


def test_a_run_that_could_not_be_uploaded_is_uploaded_when_it_is_requested(url: str, machine: Machine) -> None:
    here = machine(url)
    assert here.remote is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(here.remote, "put", lambda name, content, **options: False)
        train_missing(RECIPE, RECIPE.digest, [1], here)
    assert machine(url).missing(RECIPE.digest, [1]) == [1]
    cohort = Cohort(Training.of(RECIPE), (1,))
    assert train_cohort(cohort, here, device="cpu", files={}, report=lambda fraction: None) == Result("trained")
    assert machine(url).missing(RECIPE.digest, [1]) == []


@pytest.mark.parametrize("fault", ["too large", "archived", "damaged, and may not be deleted"])
def test_a_listed_run_that_cannot_be_fetched_is_trained(
    server: Server, url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    train_missing(RECIPE, RECIPE.digest, [1], machine(url))
    there = machine(url)
    assert there.remote is not None
    files = there.remote._files[0]

    def denied(path: str) -> None:
        raise PermissionError("InvalidObjectState")

    if fault == "too large":
        monkeypatch.setattr(remote_module, "MAX_OBJECT_SIZE", 10)
    elif fault == "archived":
        monkeypatch.setattr(files, "cat_file", denied)
    else:
        server[f"{url.removeprefix('s3://lab/')}/runs/{RECIPE.digest[:2]}/{RECIPE.digest}/1.zip"] = b"nothing"
        monkeypatch.setattr(files, "rm_file", denied)
    with pytest.warns(MemkitWarning):
        assert load_or_train(RECIPE, RECIPE.digest, 1, there).seed == 1


def test_an_entry_of_another_version_is_not_deleted(
    server: Server, url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(machine(url))
    there = machine(url)
    monkeypatch.setattr(entries, "VERSION", 2)
    with pytest.warns(MemkitWarning, match="has version 1; this memkit reads version 2"):
        assert there.load(DIGEST, 3) is None
    assert f"{url.removeprefix('s3://lab/')}/runs/ab/{DIGEST}/3.zip" in server
    assert there.missing(DIGEST, [3]) == [3]


def test_a_fetched_run_that_cannot_be_saved_is_used_anyway(
    url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(machine(url))
    there = machine(url)

    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "write", full)
    with pytest.warns(MemkitWarning, match="cannot be written to the store"):
        assert same(there.load(DIGEST, 3))


def test_a_lost_response_does_not_cause_a_refusal(server: Server, url: str) -> None:
    server.faults.append(answer_lost)
    Remote(url).check()


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep nesting"),
        pytest.param(b'{"metrics": {}, "history": [[Infinity, 1]], "validation": [], "diverged": ""}', id="infinity"),
        pytest.param(b"{}", id="nothing"),
    ],
)
def test_hostile_content_with_a_valid_checksum_is_refused(url: str, machine: Machine, run: bytes) -> None:
    files = {FOUR[0]: safetensors.torch.save({}), FOUR[1]: run, FOUR[2]: b"{}"}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"version": 1, "run": [DIGEST, 3], "session": "", "sha256": sums}
    there = machine(url)
    assert there.remote is not None
    there.remote.put(f"runs/ab/{DIGEST}/3.zip", archive({**files, FOUR[3]: json.dumps(manifest).encode()}))
    with pytest.warns(MemkitWarning, match="it is trained again"):
        assert there.load(DIGEST, 3) is None
    assert there.missing(DIGEST, [3]) == [3], "the object is not used again"


def test_running_out_of_memory_does_not_count_as_damage(
    server: Server, url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(machine(url))
    there = machine(url)

    def none(*given: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "unpack", none)
        with pytest.raises(MemoryError):
            there.load(DIGEST, 3)
    assert same(there.load(DIGEST, 3)), "the object was not deleted"


def test_removing_a_local_run_makes_no_request(server: Server, url: str, machine: Machine) -> None:
    here = machine(url)
    saved(here)
    server.requests.clear()
    here.remove(DIGEST, 3)
    assert not server.requests
    assert here.missing(DIGEST, [3]) == [], "other machines still see it"
