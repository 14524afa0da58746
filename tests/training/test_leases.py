"""Leases on work that machines share: waited for, taken from the dead, and given back."""

from __future__ import annotations

import pickle
import threading
import time

import pytest

from memkit.errors import MemkitError, MemkitWarning
from memkit.training.leases import leased
from memkit.training.remote import Remote
from tests.training.toys import until


def waited(remote: Remote, name: str) -> float:
    """Seconds until a lease was had."""
    began = time.monotonic()
    with leased(remote, [name]):
        return time.monotonic() - began


def test_a_lease_is_waited_for(anywhere: Remote) -> None:
    anywhere.lease = 4.0  # long beside what a busy machine may be late
    other = pickle.loads(pickle.dumps(anywhere))
    order = []

    def work() -> None:
        with leased(other, ["a", "b"]):
            order.append("second")

    with leased(anywhere, ["b"]):
        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(1.5 * anywhere.lease)  # it is renewed meanwhile
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
        with leased(Remote(url, lease=5.0), ["a"]):
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
    with leased(slow_one, ["a"]):
        other.delete("leases/a/1")
        other.create("leases/a/2", b"theirs")
    assert other.names("leases/a") == {"2"}


def test_whoever_may_not_list_does_not_wait(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(url, lease=60.0)
    remote.create("leases/a/1", b"{}")

    def denied(path: str, detail: bool = True) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(remote._files[0], "ls", denied)
    with pytest.warns(MemkitWarning, match="AccessDenied"):
        assert waited(remote, "a") < 5
    with pytest.raises(MemkitError, match="may list, read, write and delete there"):
        remote.check()


def test_many_leases_of_the_dead_cost_one_wait(anywhere: Remote) -> None:
    anywhere.lease = 3.0
    for name in "abcdefgh":
        anywhere.create(f"leases/{name}/1", b"{}")
    began = time.monotonic()
    with leased(anywhere, "abcdefgh"):
        pass
    assert anywhere.lease <= time.monotonic() - began < 4 * anywhere.lease


def test_ones_own_lease_was_left_by_one_that_died(url: str) -> None:
    dead, alive = Remote(url, lease=60.0), Remote(url, lease=60.0)
    dead.create("leases/a/1", b'{"owner": "this folder", "holder": "x", "count": 7}')
    began = time.monotonic()
    with leased(alive, ["a"], owner="this folder"):
        assert time.monotonic() - began < 5


def test_a_renewal_that_failed_is_made_up_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, other = Remote(url, lease=2.0), Remote(url)
    failing = iter([True, True])
    put = remote.put

    def sometimes(name: str, content: bytes, *, always: bool = False) -> bool:
        return False if next(failing, False) else put(name, content, always=always)

    monkeypatch.setattr(remote, "put", sometimes)
    with leased(remote, ["a"]):
        before = other.get("leases/a/1")
        until(lambda: other.get("leases/a/1") != before, patience=20)
    assert other.names("leases/a") == set()
