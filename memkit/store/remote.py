"""Objects at a URL, which several machines share: the part of a store that lies behind its folder.

Whatever holds them, S3 or another system that fsspec knows, must do two things: put an object whole or not at all, and
with ``create`` make one only where there is none. A call that fails is tried again. If it keeps failing, memkit warns.
That costs time, since what cannot be had is trained here, but no verdict.
"""

from __future__ import annotations

import errno
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from memkit.errors import MemkitError, told
from memkit.files import replacing, write

T = TypeVar("T")

LARGEST = 2 * 1024**3
"""The most bytes of an object; a larger one was not written by a store."""

_TRIES = 2  # of ours; the packages try again themselves
_BREAK = 120.0  # seconds of rest once all tries have failed, or each call would wait for a server that is down


class Clock:
    """The time that rests, retries and leases go by. Tests hand over one that they turn themselves."""

    def now(self) -> float:
        """Return seconds since some moment; they never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event, and not longer than so many seconds; return whether it has happened."""
        return event.wait(seconds)


class Remote:
    """Objects at a URL, by names with slashes.

    Args:
        url: ``s3://bucket/memkit``, ``gs://bucket/memkit``, ``file:///mnt/shared/memkit``. Credentials, and another
            address of the server, are read from the environment, as the package for that kind of URL says.
        lease: seconds without a sign of life after which the holder of a lease is taken for dead, see
            :mod:`memkit.store.leases`.
        clock: tells the time in this process. It stays here when a remote is sent to another.

    Attributes:
        useless: names of objects that were asked for and are of no use: damaged, too large, out of reach.
    """

    def __init__(self, url: str, lease: float = 60.0, *, clock: Clock | None = None) -> None:
        self.url = url.rstrip("/")
        self.lease = lease
        self.clock = clock or Clock()
        self.useless: set[str] = set()
        self._resting_until = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self.url, self.lease)

    def __str__(self) -> str:
        """Return the URL as it may be shown, without the parts that may hold a password."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def _local(self) -> bool:
        return self.url.startswith(("file:", "local:"))

    @cached_property
    def _files(self) -> tuple[Any, str]:
        """fsspec's file system, and the folder in it."""
        try:
            import fsspec

            options = {"auto_mkdir": True} if self._local else {}
            fs, folder = fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True, **options)
        except ImportError as error:
            raise MemkitError(
                f"the store {self} needs a package that is not installed ({error}); for s3: there is the extra [s3] of "
                "memkit, for gs: [gs]"
            ) from error
        except ValueError as error:
            raise MemkitError(
                f"the store {self} is at no address that can be read ({error}); write s3://bucket/folder, "
                "gs://bucket/folder, file:///folder, or the path of a folder"
            ) from error
        return fs, folder

    def check(self) -> None:
        """See that objects can be put, listed, read and deleted, and that none is created twice.

        Raises:
            MemkitError: they cannot.
        """
        fs, folder = self._files
        probe = f"probes/{uuid.uuid4().hex}"
        try:
            self._put(fs, f"{folder}/{probe}", b"1")
            if fs.cat_file(f"{folder}/{probe}") != b"1" or not fs.ls(f"{folder}/probes", detail=False):
                raise OSError("what was put is not there")
            fs.rm_file(f"{folder}/{probe}")
        except Exception as error:
            raise MemkitError(
                f"the store {self} cannot be used ({_said(error)}); see that it exists, and that this machine reaches "
                "it and may list, read, write and delete there, or choose another with --store or MEMKIT_STORE"
            ) from error
        if self.create(probe, b"1") and self.create(probe, b"2"):
            told(f"the store {self} creates what is there already, so two machines may train the same run")
        self.delete(probe)

    def names(self, folder: str) -> set[str] | None:
        """Return the names in a folder; an empty set where there is no folder, None where nobody can say."""

        def listed(fs: Any, root: str) -> set[str]:
            try:
                found = fs.ls(f"{root}/{folder}", detail=False)
            except FileNotFoundError:
                return set()
            return {str(path).rstrip("/").rpartition("/")[2] for path in found}

        return self._tried(listed, None)

    def get(self, name: str, *, always: bool = False) -> bytes | None:
        """Return an object; None where there is none, or where it cannot be had. ``always`` as for :meth:`put`."""

        def read(fs: Any, root: str) -> bytes | None:
            try:
                if fs.info(f"{root}/{name}")["size"] > LARGEST:
                    raise _Refused(f"{name} is larger than {LARGEST} bytes")
                return bytes(fs.cat_file(f"{root}/{name}"))
            except FileNotFoundError:
                return None
            except (_Refused, PermissionError):
                self.useless.add(name)
                raise

        return self._tried(read, None, always=always)

    def put(self, name: str, content: bytes, *, always: bool = False) -> bool:
        """Write an object, whole or not at all, over one that is there; return whether it was written.

        Args:
            always: also while other calls rest after an error.
        """
        if len(content) > LARGEST:
            told(f"the store {self}: {name} is larger than {LARGEST} bytes, and stays on this machine")
            return False

        def written(fs: Any, root: str) -> bool:
            self._put(fs, f"{root}/{name}", content)
            return True

        return self._tried(written, False, always=always)

    def _put(self, fs: Any, path: str, content: bytes) -> None:
        if self._local:  # a folder cannot write atomically, but it can rename atomically
            tmp = Path(self._files[1]) / "tmp"
            with replacing(Path(path), tmp) as aside:
                tmp.mkdir(parents=True, exist_ok=True)
                write(aside, content)
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        else:
            fs.pipe_file(path, content)

    def create(self, name: str, content: bytes) -> bool | None:
        """Write an object where there is none; return whether this call did, or None where nobody can say.

        ``content`` must be unique to the caller: where an answer was lost, it shows whose the object is. A server that
        cannot write in this way overwrites what is there.
        """

        def make(fs: Any, root: str) -> bool:
            path = f"{root}/{name}"
            try:
                if self._local:  # fsspec looks first and writes then
                    Path(path).parent.mkdir(parents=True, exist_ok=True)
                    with Path(path).open("xb") as file:
                        file.write(content)
                else:
                    fs.pipe_file(path, content, mode="create")
            except FileExistsError:
                return bool(fs.cat_file(path) == content)
            except (OSError, TypeError) as error:
                if isinstance(error, OSError) and error.errno != errno.ENOSYS:
                    raise
                fs.pipe_file(path, content)
            return True

        return self._tried(make, None)

    def delete(self, name: str) -> None:
        """Remove an object; nothing happens where there is none."""

        def remove(fs: Any, root: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{name}")

        self._tried(remove, None)

    def _tried(self, call: Callable[[Any, str], T], otherwise: T, *, always: bool = False) -> T:
        """Try a call a few times, and return its result; warn and return ``otherwise`` where all tries fail."""
        if not always and self.clock.now() < self._resting_until:
            return otherwise
        said = ""
        for attempt in range(_TRIES):
            if attempt:
                self.clock.sleep(0.2 * 2**attempt * (1 + random.random()))  # so that not all come back at once
            try:
                return call(*self._files)
            except MemkitError:
                raise
            except (_Refused, PermissionError) as error:
                said = str(error) if isinstance(error, _Refused) else _said(error)
                break
            except Exception as error:  # whatever the package of this kind of URL raises
                said = _said(error)
        else:
            self._resting_until = self.clock.now() + _BREAK
        told(f"the store {self}: {said}; going on with what is on this machine")
        return otherwise


class _Refused(Exception):
    """An error that no second try would change."""


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
