"""A store that machines share, at a URL: on a server of S3's protocol, in a folder, and through faults."""

from __future__ import annotations

import importlib.util
import io
import pickle
import threading
import time
import uuid
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError, MemkitWarning
from memkit.training import remote as remote_module
from memkit.training.cohorts import obtain, train_missing
from memkit.training.measurements import load_measurement, save_measurement, stored_seeds
from memkit.training.recipe import Recipe
from memkit.training.remote import Remote
from memkit.training.store import Store, named_store
from memkit.training.trainer import TrainedRun
from tests.training.servers import Fault, Server, answer_lost, cut_off, slow, unavailable
from tests.training.toys import Ordinary, signs, until

DIGEST, KEY = "ab" * 16, "cd" * 16
RECIPE = Recipe(signs, Ordinary, steps=5)
RUN = TrainedRun(
    seed=3,
    state={"weight": torch.arange(6.0).reshape(2, 3)},
    metrics={"loss": 0.25, "cpu_seconds": 1.5},
    history=((0, 1.0), (5, 0.25)),
    validation=(),
    diverged=False,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("s3fs.core.S3FileSystem.read_timeout", 2)  # seconds, not 15
    yield made
    made.close()


@pytest.fixture
def url(server: Server) -> str:
    return f"s3://lab/{uuid.uuid4().hex}"


@pytest.fixture(params=["s3", "file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "s3":
        return Remote(request.getfixturevalue("url"), lease=0.6)
    return Remote(f"file://{tmp_path}/shared" if request.param == "file" else f"memory://{uuid.uuid4().hex}", lease=0.6)


@pytest.fixture
def machine(tmp_path: Path) -> Callable[[str | Remote], Store]:
    """A new machine, with an empty folder of its own."""

    def made(remote: str | Remote) -> Store:
        remote = Remote(remote, lease=0.6) if isinstance(remote, str) else pickle.loads(pickle.dumps(remote))
        store = Store(tmp_path / uuid.uuid4().hex, remote=remote)
        store.prepare()
        return store

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


def test_objects(anywhere: Remote) -> None:
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


def test_one_creates(anywhere: Remote) -> None:
    anywhere.check()
    made: list[bool | None] = []
    others = [pickle.loads(pickle.dumps(anywhere)) for _ in range(8)]
    threads = [
        threading.Thread(target=lambda i=i, other=other: made.append(other.create("x", b"%d" % i)))  # type: ignore[misc]
        for i, other in enumerate(others)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(bool, made)) == [False] * 7 + [True]


# --- a store --------------------------------------------------------------------------------------------------


def test_what_one_machine_trains_the_others_have(anywhere: Remote, machine: Machine) -> None:
    here, there = machine(anywhere), machine(anywhere)
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


def test_what_is_in_the_folder_is_not_asked_for(server: Server, url: str, machine: Machine) -> None:
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


def test_what_is_damaged_in_the_folder_is_fetched_again(url: str, machine: Machine) -> None:
    here = machine(url)
    train_missing(RECIPE, RECIPE.digest, [1], here)
    weights = here.root / "runs" / RECIPE.digest[:2] / RECIPE.digest / "1" / "weights.safetensors"
    weights.write_bytes(b"\0" * 10)
    with pytest.warns(MemkitWarning, match="is damaged"):
        run = obtain(RECIPE, RECIPE.digest, 1, here)
    assert here.made(RECIPE.digest, 1)["cohort"] == 1
    assert run.seed == 1
    assert weights.stat().st_size > 10


def test_training_once_more_passes_over_what_others_trained_before(url: str, machine: Machine) -> None:
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


# --- what comes from elsewhere --------------------------------------------------------------------------------


def rejected(server: Server, url: str, store: Store, content: bytes) -> None:
    name = f"{url.removeprefix('s3://lab/')}/runs/ab/{DIGEST}/3.zip"
    server[name] = content
    before = sorted(path for path in store.root.rglob("*") if path.is_file())
    with pytest.warns(MemkitWarning, match="it is trained again"):
        assert store.load(DIGEST, 3) is None
    assert name not in server, "it is out of the way"
    assert sorted(path for path in store.root.rglob("*") if path.is_file()) == before
    assert store.missing(DIGEST, [3]) == [3]


@pytest.mark.parametrize("at", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_bit_that_flips(server: Server, url: str, machine: Machine, at: float) -> None:
    saved(machine(url))
    name = f"{url.removeprefix('s3://lab/')}/runs/ab/{DIGEST}/3.zip"
    content = bytearray(server[name])
    content[int(at * len(content))] ^= 4
    there = machine(url)
    server[name] = bytes(content)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = there.load(DIGEST, 3)
    if told:
        assert run is None
        assert name not in server
    else:
        assert same(run), "a bit of a date in the archive's directory, say, is none of the run"


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
def test_what_is_no_run(server: Server, url: str, machine: Machine, content: bytes) -> None:
    rejected(server, url, machine(url), content)


def test_a_run_that_says_it_is_another(server: Server, url: str, machine: Machine) -> None:
    saved(machine(url))
    folder = url.removeprefix("s3://lab/")
    content = server[f"{folder}/runs/ab/{DIGEST}/3.zip"]
    there = machine(url)
    server[f"{folder}/runs/ab/{DIGEST}/4.zip"] = content
    with pytest.warns(MemkitWarning, match="holds another run than its place says"):
        assert there.load(DIGEST, 4) is None


@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    remote = Remote(f"memory://{uuid.uuid4().hex}")
    store = Store(tmp_path_factory.mktemp("store"), remote=remote)
    remote.put(f"runs/ab/{DIGEST}/3.zip", content)
    remote.put(f"measurements/cd/{KEY}/3.json", content)
    with pytest.warns(MemkitWarning):
        assert store.load(DIGEST, 3) is None
    with pytest.warns(MemkitWarning):
        assert load_measurement(store, KEY, 3) is None


def test_what_is_too_large_is_not_taken(url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(machine(url))
    there = machine(url)
    monkeypatch.setattr(remote_module, "LARGEST", 100)
    with pytest.warns(MemkitWarning, match="is larger than 100 bytes; going on"):
        assert there.load(DIGEST, 3) is None


# --- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [unavailable, cut_off, answer_lost, slow])
def test_a_fault_is_got_over(server: Server, url: str, machine: Machine, fault: Fault) -> None:
    here, there = machine(url), machine(url)
    server.faults.append(fault)
    saved(here)
    server.faults.append(fault)
    assert there.missing(DIGEST, [3, 4]) == [4]
    server.faults.append(fault)
    assert same(there.load(DIGEST, 3))
    server.faults.append(fault)
    assert Remote(url).create("lease", b"mine") is True, "an answer that was lost is no lease that was lost"
    assert not server.faults


def test_a_run_is_there_whole_or_not_at_all(server: Server, url: str, machine: Machine) -> None:
    here, there = machine(url), machine(url)
    server.faults += [slow]
    writing = threading.Thread(target=saved, args=(here,))
    writing.start()
    until(lambda: not server.faults)
    looks = 0
    while there.missing(DIGEST, [3]):
        looks += 1
    assert same(there.load(DIGEST, 3))
    assert looks > 1
    writing.join()


def test_two_writers(url: str, machine: Machine) -> None:
    stores = [machine(url) for _ in range(4)]
    threads = [threading.Thread(target=saved, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same(machine(url).load(DIGEST, 3))


def test_without_the_server_work_goes_on_here(
    server: Server, url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    here = machine(url)
    server.down = True

    def worked() -> bool:
        save_measurement(here, KEY, 3, {"value": 1})
        return obtain(RECIPE, RECIPE.digest, 1, here).seed == 1

    with pytest.warns(MemkitWarning, match=r"Service Unavailable; going on with what is on this machine") as told:
        assert worked()
    assert load_measurement(here, KEY, 3) == {"value": 1}
    assert len(told) == 1, "and it is not asked again for a while"
    server.down = False
    here.remote = Remote(url)
    train_missing(RECIPE, RECIPE.digest, [1, 2], here)
    assert machine(url).missing(RECIPE.digest, [1, 2]) == [1], "what was trained meanwhile is on this machine alone"


# --- leases ---------------------------------------------------------------------------------------------------


def waited(remote: Remote, name: str) -> float:
    """Seconds until a lease was had."""
    began = time.monotonic()
    with remote.leased([name]):
        return time.monotonic() - began


def test_a_lease_is_waited_for(anywhere: Remote) -> None:
    other = pickle.loads(pickle.dumps(anywhere))
    order = []

    def work() -> None:
        with other.leased(["a", "b"]):
            order.append("second")

    with anywhere.leased(["b"]):
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(3 * anywhere.lease)  # it is renewed meanwhile
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert anywhere.names("leases/a") == anywhere.names("leases/b") == set()
    assert waited(anywhere, "a") < anywhere.lease


def test_the_lease_of_a_machine_that_died_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)  # nobody's clock is asked for the time of day
    dead, alive = Remote(url, lease=0.6), Remote(url, lease=0.6)
    dead.create("leases/a/1", b"{}")
    assert 0.6 <= waited(alive, "a") < 5
    assert alive.names("leases/a") == set()


def test_one_of_many_takes_it(url: str) -> None:
    Remote(url).create("leases/a/7", b"{}")
    holding: list[int] = []
    most: list[int] = []

    def work(i: int) -> None:
        with Remote(url, lease=1.0).leased(["a"]):
            holding.append(i)
            most.append(len(holding))
            time.sleep(0.2)
            holding.remove(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_a_lease_that_was_taken_is_not_taken_back(url: str) -> None:
    slow_one, other = Remote(url, lease=60.0), Remote(url)
    with slow_one.leased(["a"]):
        other.delete("leases/a/1")
        other.create("leases/a/2", b"theirs")
    assert other.names("leases/a") == {"2"}


# --- names ----------------------------------------------------------------------------------------------------


def test_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMKIT_STORE", raising=False)
    assert str(named_store(None, tmp_path)) == str(tmp_path / ".memkit")
    assert str(named_store("a", tmp_path)) == str(tmp_path / "a")
    monkeypatch.setenv("MEMKIT_STORE", "s3://lab/store/")
    shared = named_store(None, tmp_path)
    assert (str(shared), shared.root) == ("s3://lab/store", tmp_path / ".memkit")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s4://lab/store", "is at no address that can be read .*; write s3://bucket/folder"),
        ("s3://no-such-bucket/store", "cannot be used .*; see that it exists"),
        ("file:///proc/nowhere", "cannot be used .*; see that it exists"),
    ],
)
def test_sentences(server: Server, url: str, says: str) -> None:
    with pytest.raises(MemkitError, match=f"the store {url} {says}"):
        Remote(url).check()


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="it is installed")
def test_a_package_that_is_missing() -> None:
    with pytest.raises(MemkitError, match=r"needs a package that is not installed .*for gs: \[gs\]"):
        Remote("gs://lab/store").check()


def test_a_server_that_creates_twice_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(f"file://{tmp_path}")
    files: Any = remote._files[0]
    plain = files.pipe_file
    monkeypatch.setattr(files, "pipe_file", lambda path, content, mode="overwrite": plain(path, content))
    with pytest.warns(MemkitWarning, match="so two machines may train the same run"):
        remote.check()
