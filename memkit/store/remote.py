"""Objects at a URL, which several machines share: the part of a store that is not on the local disk.

The server, S3 or another system that fsspec supports, must provide two operations: it writes an object completely or
not at all, and ``create`` writes an object only if none of that name exists. A call that fails is repeated. If it keeps
failing, memkit warns and trains the runs that it cannot fetch, which costs time but changes no verdict.
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

from memkit.errors import MemkitError, warn
from memkit.files import replacing, write

T = TypeVar("T")

MAX_OBJECT_SIZE = 2 * 1024**3
"""The maximum size of an object in bytes; a larger one was not written by a store."""

_ATTEMPTS = 2  # the packages behind fsspec make further attempts themselves
# Seconds without calls once all attempts have failed. Otherwise each call would wait for a server that is down.
_PAUSE = 120.0


class Clock:
    """The clock of pauses, retries and leases. Tests replace it with one that they set themselves."""

    def now(self) -> float:
        """Return the seconds since an arbitrary moment; they never decrease."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for a number of seconds."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event, for at most a number of seconds; return whether it has happened."""
        return event.wait(seconds)


class Remote:
    """Objects at a URL, with names that contain slashes.

    Args:
        url: ``s3://bucket/memkit``, ``gs://bucket/memkit``, ``file:///mnt/shared/memkit``. Credentials, and another
            address of the server, are read from the environment, as documented by the package for that kind of URL.
        lease: the time in seconds after which the holder of a lease that was not renewed is taken for dead; see
            :mod:`memkit.store.leases`.
        clock: the clock of this process. It is not sent along when a remote is sent to another process.

    Attributes:
        unusable: names of objects that were requested and are damaged, too large or not accessible.
    """

    def __init__(self, url: str, lease: float = 60.0, *, clock: Clock | None = None) -> None:
        self.url = url.rstrip("/")
        self.lease = lease
        self.clock = clock or Clock()
        self.unusable: set[str] = set()
        self._paused_until = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self.url, self.lease)

    def __str__(self) -> str:
        """Return the URL without the parts that may contain a password."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()

    @property
    def _is_local(self) -> bool:
        return self.url.startswith(("file:", "local:"))

    @cached_property
    def _files(self) -> tuple[Any, str]:
        """The file system of fsspec, and the path of the folder in it."""
        try:
            import fsspec

            options = {"auto_mkdir": True} if self._is_local else {}
            fs, folder = fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True, **options)
        except ImportError as error:
            raise MemkitError(
                f"the store {self} needs a package that is not installed ({error}); install memkit with its extra [s3] "
                "for s3: or [gs] for gs:"
            ) from error
        except ValueError as error:
            raise MemkitError(
                f"the store {self} has an address that cannot be parsed ({error}); write s3://bucket/folder, "
                "gs://bucket/folder, file:///folder, or the path of a folder"
            ) from error
        return fs, folder

    def check(self) -> None:
        """Check that objects can be written, listed, read and deleted; warn if an existing one can be created again.

        Raises:
            MemkitError: if one of these operations fails.
        """
        fs, folder = self._files
        probe = f"probes/{uuid.uuid4().hex}"
        try:
            self._put(fs, f"{folder}/{probe}", b"1")
            if fs.cat_file(f"{folder}/{probe}") != b"1" or not fs.ls(f"{folder}/probes", detail=False):
                raise OSError("an object that was written cannot be found")
            fs.rm_file(f"{folder}/{probe}")
        except Exception as error:
            raise MemkitError(
                f"the store {self} cannot be used ({_first_line(error)}); check that it exists, that this machine can "
                "reach it, and that it may list, read, write and delete objects, or choose another store with --store "
                "or MEMKIT_STORE"
            ) from error
        if self.create(probe, b"1") and self.create(probe, b"2"):
            warn(
                f"the store {self} allows existing objects to be created again, so two machines may train the same run"
            )
        self.delete(probe)

    def names(self, folder: str) -> set[str] | None:
        """Return the names in a folder; an empty set if there is no folder, None if it cannot be listed."""

        def list_names(fs: Any, root: str) -> set[str]:
            try:
                paths = fs.ls(f"{root}/{folder}", detail=False)
            except FileNotFoundError:
                return set()
            return {str(path).rstrip("/").rpartition("/")[2] for path in paths}

        return self._call(list_names, None)

    def get(self, name: str, *, always: bool = False) -> bytes | None:
        """Return an object; None if it does not exist or cannot be read. ``always`` as for :meth:`put`."""

        def read(fs: Any, root: str) -> bytes | None:
            try:
                if fs.info(f"{root}/{name}")["size"] > MAX_OBJECT_SIZE:
                    raise _PermanentError(f"{name} is larger than {MAX_OBJECT_SIZE} bytes")
                return bytes(fs.cat_file(f"{root}/{name}"))
            except FileNotFoundError:
                return None
            except (_PermanentError, PermissionError):
                self.unusable.add(name)
                raise

        return self._call(read, None, always=always)

    def put(self, name: str, content: bytes, *, always: bool = False) -> bool:
        """Write an object completely or not at all, and replace an existing one; return whether it was written.

        Args:
            name: the name of the object.
            content: its content.
            always: call the server even during the pause after an error.
        """
        if len(content) > MAX_OBJECT_SIZE:
            warn(f"the store {self}: {name} is larger than {MAX_OBJECT_SIZE} bytes, so it stays on this machine")
            return False

        def write_object(fs: Any, root: str) -> bool:
            self._put(fs, f"{root}/{name}", content)
            return True

        return self._call(write_object, False, always=always)

    def _put(self, fs: Any, path: str, content: bytes) -> None:
        if self._is_local:  # files cannot be written atomically, but they can be renamed atomically
            tmp = Path(self._files[1]) / "tmp"
            with replacing(Path(path), tmp) as temporary:
                tmp.mkdir(parents=True, exist_ok=True)
                write(temporary, content)
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        else:
            fs.pipe_file(path, content)

    def create(self, name: str, content: bytes) -> bool | None:
        """Write an object unless it exists; return whether this call created it, or None if that is unknown.

        ``content`` must be unique to the caller: if the server's answer was lost, it shows who created the object. A
        server that does not support this operation overwrites an existing object.
        """

        def create_object(fs: Any, root: str) -> bool:
            path = f"{root}/{name}"
            try:
                if self._is_local:  # fsspec would check and write in two steps
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

        return self._call(create_object, None)

    def delete(self, name: str) -> None:
        """Delete an object if it exists."""

        def remove(fs: Any, root: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm_file(f"{root}/{name}")

        self._call(remove, None)

    def _call(self, operation: Callable[[Any, str], T], default: T, *, always: bool = False) -> T:
        """Return the result of an operation, after a few attempts; if all fail, warn and return ``default``."""
        if not always and self.clock.now() < self._paused_until:
            return default
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                # The random factor keeps many machines from repeating their calls at the same moment.
                self.clock.sleep(0.2 * 2**attempt * (1 + random.random()))
            try:
                return operation(*self._files)
            except MemkitError:
                raise
            except (_PermanentError, PermissionError) as error:
                reason = str(error) if isinstance(error, _PermanentError) else _first_line(error)
                break
            except Exception as error:  # any exception: it depends on the package for this kind of URL
                reason = _first_line(error)
        else:
            self._paused_until = self.clock.now() + _PAUSE
        warn(f"the store {self}: {reason}; continuing with what is on this machine")
        return default


class _PermanentError(Exception):
    """An error that would occur again at every attempt."""


def _first_line(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
