"""Leases: objects at a URL that show which machine is doing which work; they replace locks between machines.

Leases save work, but nothing relies on them. If a lease cannot be acquired, or if its holder is wrongly taken for dead,
two machines do the same work and write the same result. A lease is an object that its holder rewrites at regular
intervals. A machine that sees a lease unchanged for a long time, by its own clock, creates a lease with the next
number, and only one machine can succeed in this. Clocks of different machines are never compared.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from memkit.store.remote import Remote


@contextmanager
def leased(remote: Remote, names: Iterable[str], *, owner: str = "") -> Iterator[None]:
    """Hold leases, so that no other machine does the same work; wait for leases that other machines hold.

    Args:
        remote: where the leases are.
        names: the names of the leases.
        owner: identifies the holder of the local locks for the same work. An existing lease of this owner was left by a
            process that died, so it is taken over without waiting.
    """
    leases: list[_Lease] = []
    finished = threading.Event()

    def renew_regularly() -> None:
        while not remote.clock.wait(finished, remote.lease / 4):
            for lease in tuple(leases):
                lease.renew()

    renewal = threading.Thread(target=renew_regularly, daemon=True)
    renewal.start()
    # All machines acquire leases in the same order, so that no two wait for each other.
    requests = [_LeaseRequest(remote, f"leases/{name}", owner) for name in sorted(set(names))]
    try:
        existing = remote.names("leases")
        if existing is not None:  # None: the leases cannot be listed, so none is acquired
            for request in requests:
                if request.folder.rpartition("/")[2] in existing:
                    request.poll()  # so that the waiting times of all leases start now
            for request in requests:
                leases += request.acquire()
        yield
    finally:
        finished.set()
        renewal.join()
        for lease in leases:
            lease.release()


class _LeaseRequest:
    """A lease to be acquired: its last known state, and the time since which that state has not changed."""

    def __init__(self, remote: Remote, folder: str, owner: str) -> None:
        self.remote, self.folder, self.owner = remote, folder, owner
        self.numbers: set[int] = set()
        self.content: bytes | None = None
        self.unchanged_since = self.remote.clock.now()

    @property
    def latest(self) -> int:
        """The highest number of an existing lease; 0 if there is none."""
        return max(self.numbers, default=0)

    def poll(self) -> bool:
        """Update the state of the lease; return whether it could be read."""
        names = self.remote.names(self.folder)
        if names is None:
            return False
        numbers = {int(name) for name in names if name.isdecimal()}
        latest = max(numbers, default=0)
        content = self.remote.get(f"{self.folder}/{latest}") if latest else None
        if (latest, content) != (self.latest, self.content):
            self.unchanged_since = self.remote.clock.now()
        self.numbers, self.content = numbers, content
        return True

    @property
    def is_free(self) -> bool:
        """True if nobody holds the lease, its holder seems to be dead, or it was left by the same owner."""
        if not self.latest or self.remote.clock.now() - self.unchanged_since > self.remote.lease:
            return True
        with suppress(ValueError, KeyError, TypeError):
            return bool(self.owner) and json.loads(self.content or b"")["owner"] == self.owner
        return False

    def acquire(self) -> list[_Lease]:
        """Wait for the lease, and return it in a list; return an empty list if it cannot be acquired."""
        while True:
            if self.is_free:
                lease = _Lease(self.remote, f"{self.folder}/{self.latest + 1}", self.owner)
                created = self.remote.create(lease.name, lease.content())
                if created:
                    for number in self.numbers:
                        self.remote.delete(f"{self.folder}/{number}")
                if created or created is None:
                    return [lease] if created else []
            else:
                self.remote.clock.sleep(min(1.0, self.remote.lease / 10))
            if not self.poll():
                return []


class _Lease:
    """A lease that this process has acquired: an object, and the number of its renewals."""

    def __init__(self, remote: Remote, name: str, owner: str) -> None:
        self.remote, self.name = remote, name
        self._owner, self._holder, self._count = owner, uuid.uuid4().hex, 0

    def content(self) -> bytes:
        return json.dumps({"owner": self._owner, "holder": self._holder, "count": self._count}).encode()

    @property
    def is_held(self) -> bool:
        """True if this process still holds the lease; a lease that another machine took over is not taken back."""
        with suppress(ValueError, KeyError, TypeError):
            return bool(json.loads(self.remote.get(self.name, always=True) or b"")["holder"] == self._holder)
        return False

    def renew(self) -> None:
        if self.is_held:
            self._count += 1
            self.remote.put(self.name, self.content(), always=True)

    def release(self) -> None:
        if self.is_held:
            self.remote.delete(self.name)
