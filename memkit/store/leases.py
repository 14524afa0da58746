"""Leases on work that machines share, in the place of locks: objects at a URL.

They save work and guard nothing: where one cannot be had, or its holder was taken for dead and lives, two machines
write the same. A lease is an object that its holder writes anew from time to time. A machine that sees it unchanged for
long, by its own clock, creates the lease with the next number, which only one machine can do. Clocks of different
machines are never compared.
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
    """Hold leases, so that no other machine does the same work meanwhile; waits for those that others hold.

    Args:
        owner: the name of the holder of local locks for the same work: a lease of this owner was left by a process
            that died.
    """
    held: list[_Lease] = []
    ended = threading.Event()

    def beat() -> None:
        while not remote.clock.wait(ended, remote.lease / 4):
            for lease in tuple(held):
                lease.renew()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    # In one order for everybody, so that no two wait for each other.
    watched = [_Watched(remote, f"leases/{name}", owner) for name in sorted(set(names))]
    try:
        taken = remote.names("leases")
        if taken is not None:  # None: nobody can say what is held, so nothing is
            for watch in watched:
                if watch.folder.rpartition("/")[2] in taken:
                    watch.look()  # so that the clocks of all run at once
            for watch in watched:
                held += watch.take()
        yield
    finally:
        ended.set()
        beating.join()
        for lease in held:
            lease.end()


class _Watched:
    """A lease that is wanted: how it was last seen, and since when it has been so."""

    def __init__(self, remote: Remote, folder: str, owner: str) -> None:
        self.remote, self.folder, self.owner = remote, folder, owner
        self.numbers: set[int] = set()
        self.seen: bytes | None = None
        self.since = self.remote.clock.now()

    @property
    def last(self) -> int:
        return max(self.numbers, default=0)

    def look(self) -> bool:
        """Look at the state of the lease; return whether it could be seen."""
        names = self.remote.names(self.folder)
        if names is None:
            return False
        numbers = {int(name) for name in names if name.isdecimal()}
        last = max(numbers, default=0)
        content = self.remote.get(f"{self.folder}/{last}") if last else None
        if (last, content) != (self.last, self.seen):
            self.since = self.remote.clock.now()
        self.numbers, self.seen = numbers, content
        return True

    @property
    def free(self) -> bool:
        if not self.last or self.remote.clock.now() - self.since > self.remote.lease:
            return True
        with suppress(ValueError, KeyError, TypeError):
            return bool(self.owner) and json.loads(self.seen or b"")["owner"] == self.owner
        return False

    def take(self) -> list[_Lease]:
        """Wait for the lease, and return it in a list; the list is empty where the lease cannot be had."""
        while True:
            if self.free:
                lease = _Lease(self.remote, f"{self.folder}/{self.last + 1}", self.owner)
                made = self.remote.create(lease.name, lease.content())
                if made:
                    for number in self.numbers:
                        self.remote.delete(f"{self.folder}/{number}")
                if made or made is None:
                    return [lease] if made else []
            else:
                self.remote.clock.sleep(min(1.0, self.remote.lease / 10))
            if not self.look():
                return []


class _Lease:
    """A lease that is held: an object, and how often it was renewed."""

    def __init__(self, remote: Remote, name: str, owner: str) -> None:
        self.remote, self.name = remote, name
        self._owner, self._holder, self._count = owner, uuid.uuid4().hex, 0

    def content(self) -> bytes:
        return json.dumps({"owner": self._owner, "holder": self._holder, "count": self._count}).encode()

    @property
    def ours(self) -> bool:
        """Return whether the lease is still ours; one that was taken from us is not taken back."""
        with suppress(ValueError, KeyError, TypeError):
            return bool(json.loads(self.remote.get(self.name, always=True) or b"")["holder"] == self._holder)
        return False

    def renew(self) -> None:
        if self.ours:
            self._count += 1
            self.remote.put(self.name, self.content(), always=True)

    def end(self) -> None:
        if self.ours:
            self.remote.delete(self.name)
