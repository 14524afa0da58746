"""Leases on work that machines share: they are waited for, taken over from dead machines, and released."""

from __future__ import annotations

import threading

import pytest

from memkit.errors import MemkitError, MemkitWarning
from memkit.store.leases import leased
from memkit.store.remote import Remote
from tests.machines.clocks import PATIENCE, Cranked, Skipping, until

LEASE = 4.0  # seconds, by clocks that the tests set


def waited(remote: Remote, *names: str, owner: str = "") -> float:
    """Acquire leases, and return the seconds that this took, by the remote's own clock."""
    assert isinstance(remote.clock, Skipping)
    start = remote.clock.now()
    with leased(remote, names, owner=owner):
        return remote.clock.now() - start


def test_a_lease_is_waited_for(anywhere: Remote) -> None:
    ours, theirs = Cranked(), Cranked()
    holder, other = Remote(anywhere.url, LEASE, clock=ours), Remote(anywhere.url, LEASE, clock=theirs)
    order = []

    def work() -> None:
        with leased(other, ["a", "b"]):
            order.append("second")

    def renew() -> None:
        before = anywhere.get("leases/b/1")
        ours.turn_until(lambda: anywhere.get("leases/b/1") != before, step=LEASE / 4)

    def poll_again() -> None:
        slept = theirs.slept
        theirs.turn(0.9 * LEASE)
        until(lambda: theirs.slept > slept)

    thread = threading.Thread(target=work, daemon=True)
    with leased(holder, ["b"]):
        thread.start()
        until(lambda: theirs.sleeping)
        for _ in range(3):
            renew()
            poll_again()
        assert theirs.time > 2 * LEASE
        order.append("first")
    theirs.turn(LEASE / 10)
    thread.join(PATIENCE)
    assert order == ["first", "second"]
    assert anywhere.names("leases/a") == anywhere.names("leases/b") == set()
    assert waited(anywhere, "a") == 0.0


def test_the_lease_of_a_machine_that_died_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 0.0)  # the time of day is not used
    remote = Remote(url, LEASE, clock=Skipping())
    remote.create("leases/a/1", b"{}")
    assert LEASE < waited(remote, "a") < 1.2 * LEASE
    assert remote.names("leases/a") == set()


def test_only_one_of_many_machines_takes_the_lease_of_a_dead_one(url: str) -> None:
    """Four machines wait for the lease of a dead one. When it is free, one acquires it, and the others wait again."""
    shared, clock = Remote(url, clock=Skipping()), Cranked()
    shared.create("leases/a/7", b"{}")
    holding: list[int] = []
    most: list[int] = []
    release = threading.Semaphore(0)

    def work(i: int) -> None:
        with leased(Remote(url, 10 * LEASE, clock=clock), ["a"]):
            holding.append(i)
            most.append(len(holding))
            release.acquire(timeout=PATIENCE)
            holding.remove(i)

    def alive() -> int:
        return sum(thread.is_alive() for thread in threads)

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: clock.sleeping == 4)
    clock.turn(11 * LEASE)
    while alive():
        until(lambda: holding and clock.sleeping == alive() - 1)  # the others wait for the holder
        release.release()
        until(lambda: not holding and clock.sleeping == alive())
        clock.turn(1.0)
    assert most == [1] * 4
    assert shared.names("leases/a") == set()


@pytest.mark.parametrize("number", ["1", "2"], ids=["taken over and released and acquired again", "taken over"])
def test_a_lease_that_was_taken_is_not_taken_back(url: str, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    clock = Cranked()
    slow_one, other = Remote(url, LEASE, clock=clock), Remote(url, clock=Skipping())
    renewals: list[str] = []
    get = slow_one.get
    monkeypatch.setattr(slow_one, "get", lambda name, **options: (renewals.append(name), get(name, **options))[1])
    with leased(slow_one, ["a"]):
        other.delete("leases/a/1")
        other.create(f"leases/a/{number}", b"theirs")
        clock.turn_until(lambda: len(renewals) > 1, step=LEASE / 4)  # the first has ended when the second begins
    assert other.names("leases/a") == {number}
    assert other.get(f"leases/a/{number}") == b"theirs"


def test_a_machine_that_may_not_list_objects_does_not_wait(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(url, LEASE, clock=Skipping())
    remote.create("leases/a/1", b"{}")

    def denied(path: str, detail: bool = True) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(remote._files[0], "ls", denied)
    with pytest.warns(MemkitWarning, match="AccessDenied"):
        assert waited(remote, "a") == 0.0
    with pytest.raises(MemkitError, match="may list, read, write and delete objects"):
        remote.check()


def test_many_leases_of_dead_machines_take_one_wait(anywhere: Remote) -> None:
    anywhere.lease = LEASE
    for name in "abcdefgh":
        anywhere.create(f"leases/{name}/1", b"{}")
    assert LEASE < waited(anywhere, *"abcdefgh") < 1.2 * LEASE


def test_a_lease_of_the_same_owner_is_taken_over_at_once(url: str) -> None:
    remote = Remote(url, LEASE, clock=Skipping())
    remote.create("leases/a/1", b'{"owner": "this folder", "holder": "x", "count": 7}')
    assert waited(remote, "a", owner="this folder") == 0.0


def test_a_failed_renewal_is_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Cranked()
    remote, other = Remote(url, LEASE, clock=clock), Remote(url, clock=Skipping())
    failing = iter([True, True])
    put = remote.put

    def sometimes(name: str, content: bytes, *, always: bool = False) -> bool:
        return False if next(failing, False) else put(name, content, always=always)

    monkeypatch.setattr(remote, "put", sometimes)
    with leased(remote, ["a"]):
        before = other.get("leases/a/1")
        clock.turn_until(lambda: other.get("leases/a/1") != before, step=LEASE / 4)
    assert not next(failing, False), "two renewals failed"
    assert other.names("leases/a") == set()
