"""Objects at a URL, which several machines share: the part of a store that lies behind its folder.

Little is asked of whatever holds them, S3 or any other that fsspec knows: that an object is put whole or not at all,
and that ``create`` makes one only where there is none. An error is tried again; what stays wrong is warned of and costs
time, for what cannot be had is trained here, but no verdict.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, TypeVar

from memkit.errors import MemkitError, MemkitWarning

T = TypeVar("T")

LARGEST = 2 * 1024**3
"""Bytes that are taken for an object; what is larger was not written by a store."""

_TRIES = 2  # of ours; the packages try again themselves
_BREAK = 120.0  # seconds of rest once all tries have failed, or each call would wait for a server that is down
_LEASE = 60.0  # seconds without a sign of life after which the holder of a lease is taken for dead


class Remote:
    """Objects at a URL, by names with slashes.

    Args:
        url: ``s3://bucket/memkit``, ``gs://bucket/memkit``, ``file:///mnt/shared/memkit``, or another that fsspec
            knows. Credentials, and another address of the server, are read from the environment, as its package says.
        lease: seconds without a sign of life after which the holder of a lease is taken for dead.
    """

    def __init__(self, url: str, lease: float = _LEASE) -> None:
        self.url = url.rstrip("/")
        self.lease = lease
        self._resting_until = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self.url, self.lease)

    @cached_property
    def _files(self) -> tuple[Any, str]:
        """fsspec's file system, and the folder in it."""
        local = self.url.startswith(("file:", "local:"))
        try:
            import fsspec

            fs, folder = fsspec.core.url_to_fs(
                self.url, use_listings_cache=False, skip_instance_cache=True, **({"auto_mkdir": True} if local else {})
            )
        except ImportError as error:
            raise MemkitError(
                f"the store {self.url} needs a package that is not installed ({error}); for s3: there is the extra "
                "[s3] of memkit, for gs: [gs]"
            ) from error
        except ValueError as error:
            raise MemkitError(
                f"the store {self.url} is at no address that can be read ({error}); write s3://bucket/folder, "
                "gs://bucket/folder, file:///folder, or the path of a folder"
            ) from error
        return fs, folder

    def check(self) -> None:
        """See that objects can be created, read and deleted, and that none is created twice.

        Raises:
            MemkitError: they cannot.
        """
        fs, folder = self._files
        probe = f"{folder}/probe-{uuid.uuid4().hex}"
        try:
            fs.pipe_file(probe, b"1", mode="create")
            once = fs.cat_file(probe) == b"1"
            with suppress(FileExistsError):
                fs.pipe_file(probe, b"2", mode="create")
                once = False
            fs.rm_file(probe)
        except Exception as error:
            raise MemkitError(
                f"the store {self.url} cannot be used ({_said(error)}); see that it exists, and that this machine "
                "reaches it and may write there, or choose another with --store or MEMKIT_STORE"
            ) from error
        if not once:
            warnings.warn(
                f"{self.url} creates what is there already, so two machines may train the same run", MemkitWarning, 2
            )

    def names(self, folder: str) -> set[str]:
        """What lies in a folder; empty where there is none."""

        def listed(fs: Any, root: str) -> set[str]:
            try:
                found = fs.ls(f"{root}/{folder}", detail=False)
            except FileNotFoundError:
                return set()
            return {str(path).rstrip("/").rpartition("/")[2] for path in found}

        return self._tried(listed, set())

    def get(self, name: str) -> bytes | None:
        """An object; None where there is none, or where it cannot be had."""

        def read(fs: Any, root: str) -> bytes | None:
            try:
                size = fs.info(f"{root}/{name}")["size"]
                if size > LARGEST:
                    raise _Refused(f"{name} is larger than {LARGEST} bytes")
                return bytes(fs.cat_file(f"{root}/{name}"))
            except FileNotFoundError:
                return None

        return self._tried(read, None)

    def put(self, name: str, content: bytes) -> bool:
        """Write an object, whole or not at all, over one that is there; whether it was written."""

        def write(fs: Any, root: str) -> bool:
            path = f"{root}/{name}"
            if "file" in fs.protocol:  # a folder puts nothing at once, but renames at once
                aside = f"{root}/tmp/{uuid.uuid4().hex}"
                fs.pipe_file(aside, content)
                fs.makedirs(path.rpartition("/")[0], exist_ok=True)
                fs.mv(aside, path)
            else:
                fs.pipe_file(path, content)
            return True

        return self._tried(write, False)

    def create(self, name: str, content: bytes) -> bool | None:
        """Write an object where there is none; whether this call did, or None where nobody can say.

        ``content`` must be nobody else's: where an answer was lost, it shows whose the object is.
        """

        def make(fs: Any, root: str) -> bool:
            try:
                fs.pipe_file(f"{root}/{name}", content, mode="create")
            except FileExistsError:
                return bool(fs.cat_file(f"{root}/{name}") == content)
            return True

        return self._tried(make, None)

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""

        def remove(fs: Any, root: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{name}")

        self._tried(remove, None)

    def _tried(self, call: Callable[[Any, str], T], otherwise: T) -> T:
        """What a call returns, tried a few times; ``otherwise``, and a warning, where all of them fail."""
        if time.monotonic() < self._resting_until:
            return otherwise
        said = ""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.2 * 2**attempt * (1 + random.random()))  # so that not all come back at once
            try:
                return call(*self._files)
            except _Refused as error:
                said = str(error)
                break
            except PermissionError as error:
                said = _said(error)
                break
            except Exception as error:  # whatever the package of this kind of URL raises
                said = _said(error)
        else:
            self._resting_until = time.monotonic() + _BREAK
        warnings.warn(f"the store {self.url}: {said}; going on with what is on this machine", MemkitWarning, 3)
        return otherwise

    # --- leases -----------------------------------------------------------------------------------------------

    @contextmanager
    def leased(self, names: Iterable[str]) -> Iterator[None]:
        """Hold leases, so that no other machine does the same work meanwhile.

        They save work and guard nothing: where one cannot be had, or its holder was taken for dead and lives, two
        machines write the same. A lease is an object that its holder writes anew from time to time. Who sees it
        unchanged for long, by a clock of its own, creates the next in number, which only one can; clocks of different
        machines are never compared.
        """
        held: list[_Lease] = []
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self.lease / 4):
                for lease in tuple(held):
                    lease.renew()

        beating = threading.Thread(target=beat, daemon=True)
        beating.start()
        try:
            for name in sorted(set(names)):  # in one order for everybody, so that no two wait for each other
                lease = self._lease(f"leases/{name}")
                if lease is not None:
                    held.append(lease)
            yield
        finally:
            ended.set()
            beating.join()
            for lease in held:
                lease.end()

    def _lease(self, folder: str) -> _Lease | None:
        """Wait for a lease; None where none can be had."""
        seen: tuple[int, bytes | None] | None = None
        since = time.monotonic()
        while True:
            numbers = {int(name) for name in self.names(folder) if name.isdecimal()}
            last = max(numbers, default=0)
            now = (last, self.get(f"{folder}/{last}") if last else None)
            if now != seen:
                seen, since = now, time.monotonic()
            if not last or time.monotonic() - since > self.lease:
                lease = _Lease(self, f"{folder}/{last + 1}")
                made = self.create(lease.name, lease.content())
                if made is None:
                    return None
                if made:
                    for number in numbers:
                        self.delete(f"{folder}/{number}")
                    return lease
            time.sleep(min(1.0, self.lease / 10))


class _Lease:
    """A lease that is held: an object, and how often it was renewed."""

    def __init__(self, remote: Remote, name: str) -> None:
        self.remote, self.name = remote, name
        self._holder, self._count = uuid.uuid4().hex, 0

    def content(self) -> bytes:
        return json.dumps({"holder": self._holder, "count": self._count}).encode()

    def renew(self) -> None:
        if self.remote.get(self.name) == self.content():  # else it has been taken from us, and is not taken back
            self._count += 1
            self.remote.put(self.name, self.content())

    def end(self) -> None:
        if self.remote.get(self.name) == self.content():
            self.remote.delete(self.name)


class _Refused(Exception):
    """What no second try would change."""


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
