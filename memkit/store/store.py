"""The store of trained runs: one folder per (recipe, seed), found by content, safe against crashes and bit rot.

::

    runs/ab/abcdef…/10003/   the files of a run (memkit.store.entries)
    measurements/…           what tests measured on trained models (memkit.store.measurements)
    locks/                   one lock file per run
    runs/tmp/                entries being written, renamed into place when they are whole; and damaged ones

An entry is either whole or not there. Checksums and form are verified on reading; what does not verify is moved away
and trained again, with a warning. Nothing is ever unpickled. Each of the folders may be a link to another disk.

A store that machines share lies at a URL (:mod:`memkit.store.remote`), and the folder is in front of it: what is in
the folder is not asked for, what is fetched or trained is kept in both. There an entry is one object, ``10003.zip``, so
that it is whole or not there as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from memkit.errors import MemkitError, told
from memkit.files import remove_all, replacing, write
from memkit.paths import named_path
from memkit.store.damaged_runs import discard, tell_of_damaged_run, unfinished
from memkit.store.dependencies import ProjectFiles, depends_of
from memkit.store.entries import (
    MANIFEST,
    RECIPE,
    RUN,
    OtherVersion,
    check,
    files_of,
    packed,
    run_of,
    unpacked,
    verified,
)
from memkit.store.leases import leased
from memkit.store.remote import Remote
from memkit.store.verified_files import DAMAGED, make_folder, parsed, why
from memkit.versions import version_of

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

_ABANDONED_AFTER = 24 * 3600.0
_LOCKLESS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""The error numbers of a disk that does not support locks."""


class Store:
    """A folder of trained runs.

    Args:
        root: the folder; it is made where it is missing.
        session: names the run of the suite; written into every entry.
        retrain: only entries of this session count as present, so that everything is trained once more.
        remote: the part that other machines see, or None. A store can be sent to other processes, and with a remote to
            other machines.
        files: of the project, by which it is seen whether what an entry depends on has changed; or None.
    """

    def __init__(
        self,
        root: Path,
        *,
        session: str = "",
        retrain: bool = False,
        remote: Remote | None = None,
        files: ProjectFiles | None = None,
    ) -> None:
        self.root = Path(root)
        self.session = session
        self.retrain = retrain
        self.remote = remote
        self.files = files
        self._stuck: set[tuple[str, int]] = set()  # damaged, and nobody can remove them

    def __str__(self) -> str:
        return str(self.root if self.remote is None else self.remote)

    def prepare(self) -> None:
        """Make the folders, see that they can be written, and clear away what a killed run left half-written.

        Raises:
            MemkitError: the store cannot be written, or what it shares with others cannot be reached.
        """
        probe = f"probe-{uuid.uuid4().hex}"
        try:
            self._keep_out_of_git()
            for folder in (self._runs, self.root / "measurements", self.root / "locks", unfinished(self._runs)):
                folder.mkdir(parents=True, exist_ok=True)
            (unfinished(self._runs) / probe).write_bytes(b"")
            (unfinished(self._runs) / probe).unlink()
        except OSError as error:
            raise self._unwritable(error) from error
        with self._held(probe):
            pass
        remove_all(self.root / "locks" / probe)
        for path in (
            *unfinished(self._runs).glob("*"),
            *(self.root / "tmp").glob("*"),
        ):  # the latter is an earlier memkit's
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                    remove_all(path)
        if self.remote is not None:
            self.remote.check()

    def _keep_out_of_git(self) -> None:
        """Let the folder exclude itself from git, as ``.pytest_cache`` does, if it is made now or is memkit's own."""
        if not self.root.exists() or self.root.name == ".memkit":
            self.root.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), (self.root / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("# Written by memkit.\n*\n")

    def has(self, digest: str, seed: int) -> bool:
        """Return whether a run is there; its checksums are verified only when it is loaded."""
        return not self.missing(digest, [seed])

    def missing(self, digest: str, seeds: Iterable[int]) -> list[int]:
        """Return the seeds that have no entry."""
        lacking = [seed for seed in seeds if not self._in_folder(digest, seed)]
        if lacking and self.remote is not None:
            there = self.remote.names(_folder(digest)) or set()
            lacking = [seed for seed in lacking if f"{seed}.zip" not in there or not self._of_use(digest, seed)]
        return lacking

    def _in_folder(self, digest: str, seed: int) -> bool:
        manifest = self._entry(digest, seed) / MANIFEST
        if (digest, seed) in self._stuck or not os.path.isfile(manifest):
            return False
        if not self.retrain and self.files is None:
            return True
        with contextlib.suppress(OSError, ValueError, KeyError):
            found = parsed(manifest.read_bytes())
            return (not self.retrain or bool(found["session"] == self.session)) and not self._changed(found)
        return not self.retrain  # a damaged one is told of when it is loaded

    def _changed(self, manifest: Mapping[str, Any]) -> str:
        """Return a file or package that is not as it was when a run was trained, or ""."""
        if self.files is None:
            return ""
        versions = depends_of(manifest.get("versions", {}))
        other = (name for name, before in versions.items() if before != version_of(name))
        return next(other, "") or self.files.changed(depends_of(manifest.get("depends", {})))

    def depends(self, digest: str, seed: int) -> dict[str, str]:
        """Return what a run in the folder depends on beside its recipe's digest; unverified, and empty if unknown."""
        with contextlib.suppress(OSError, ValueError):
            return depends_of(parsed((self._entry(digest, seed) / MANIFEST).read_bytes()).get("depends", {}))
        return {}

    def _of_use(self, digest: str, seed: int) -> bool:
        """Return whether an object that is there counts: any does that was not useless before and is not retrained."""
        if self.remote is None or _object(digest, seed) in self.remote.useless:
            return False
        return not self.retrain or self._fetch(digest, seed) is not None

    def cpu_seconds(self, digest: str, *, at_most: int = 8) -> list[float]:
        """Return CPU seconds that some seeds of a recipe took, for estimates; unverified, empty if there are none."""
        found: list[float] = []
        folder = self._entry(digest, 0).parent
        with contextlib.suppress(OSError):
            for entry in sorted(folder.iterdir())[:at_most]:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
                    found.append(float(parsed((entry / RUN).read_bytes())["metrics"]["cpu_seconds"]))
        return found

    def made(self, digest: str, seed: int) -> dict[str, Any]:
        """Return how a run was made, for readers: versions, device, cohort; unverified, empty where there is none."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return dict(parsed((self._entry(digest, seed) / RUN).read_bytes())["made"])
        return {}

    def load(self, digest: str, seed: int) -> TrainedRun | None:
        """Return a run, verified; None where there is none, or where it was damaged and has been moved away."""
        here = self._in_folder(digest, seed)
        fetched = None if here else self._fetch(digest, seed)
        if not here and fetched is None:
            return None
        entry = self._entry(digest, seed)
        try:
            contents = verified(entry, [digest, seed]) if fetched is None else fetched
            with contextlib.suppress(OSError):  # a store that cannot be written does not know what was used last
                os.utime(entry / RECIPE)
            return run_of(contents, seed)
        except MemoryError:
            raise
        except Exception as error:  # any exception: the data may come from elsewhere
            self.give_up(digest, seed, why(error), everywhere=fetched is not None)
            return None

    def give_up(self, digest: str, seed: int, wrong: str, *, everywhere: bool = True) -> None:
        """Move a damaged run out of the way, with a warning, so that it is trained again.

        Args:
            wrong: what is wrong with it, in words that follow its name.
            everywhere: the copy that others see is of no use, either.
        """
        entry = self._entry(digest, seed)
        if everywhere and self.remote is not None:
            self.remote.useless.add(_object(digest, seed))
        # First out of the way: where warnings are errors, the next line ends the run.
        if not discard(entry, self._runs):
            self._stuck.add((digest, seed))
        tell_of_damaged_run(entry, wrong)

    def save(
        self,
        digest: str,
        recipe: Mapping[str, Any],
        run: TrainedRun,
        *,
        made: Mapping[str, Any],
        depends: Mapping[str, str] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """Write a run, whole or not at all.

        Args:
            recipe: the recipe's JSON, for readers.
            made: how it was made (versions, device, cohort), for readers.
            depends: file → checksum; see :mod:`memkit.store.dependencies`.
            versions: package → version, of those that the recipe's code imports.

        Raises:
            MemkitError: the disk is full, or the store cannot be written.
        """
        files = files_of(digest, recipe, run, made=made, session=self.session, depends=depends, versions=versions)
        with self._placing(digest, run.seed):
            self._place(digest, run.seed, files)
        if self.remote is not None:
            self.remote.put(_object(digest, run.seed), packed(files))

    def _place(self, digest: str, seed: int, files: Mapping[str, bytes]) -> None:
        """Put an entry into the folder, whole or not at all; in the place of one that is there."""
        entry = self._entry(digest, seed)
        try:
            with replacing(entry, unfinished(self._runs)) as aside:
                make_folder(aside, self._runs)
                for name, content in files.items():
                    write(aside / name, content, sync=True)
                make_folder(entry.parent, self._runs)
                if os.path.lexists(entry) and not os.path.isfile(entry / MANIFEST):
                    told(f"the stored run {entry} {DAMAGED}: {MANIFEST} is missing; it is trained again")
                discard(entry, self._runs)
        except OSError as error:
            raise MemkitError(
                f"a trained run could not be written to the store {self.root} ({error.strerror}); free space "
                "there, or choose another folder with --store"
            ) from error
        self._stuck.discard((digest, seed))

    def publish(self, digest: str, seeds: Iterable[int]) -> None:
        """Let others see the runs in the folder that they do not see yet: an earlier try may have failed."""
        if self.remote is None or (there := self.remote.names(_folder(digest))) is None:
            return
        for seed in seeds:
            if f"{seed}.zip" not in there and self._in_folder(digest, seed):
                with contextlib.suppress(Exception):  # whoever loads it finds it damaged
                    files = verified(self._entry(digest, seed), [digest, seed])
                    self.remote.put(_object(digest, seed), packed(files))

    def _fetch(self, digest: str, seed: int) -> dict[str, bytes] | None:
        """Fetch the files of an entry that others see into the folder, and return them; None where none is of use."""
        name = _object(digest, seed)
        content = self.remote.get(name) if self.remote is not None else None
        if self.remote is None or content is None:
            return None
        try:
            files = unpacked(content)
            manifest = check(files, [digest, seed])
        except MemoryError:
            raise
        except Exception as error:  # any exception: the data come from elsewhere
            self.remote.useless.add(name)
            if not isinstance(error, OtherVersion):  # which the memkit that wrote it may still want
                self.remote.delete(name)
            told(f"the stored run {self.remote}/{name} {why(error)}; it is trained again")
            return None
        if (self.retrain and manifest["session"] != self.session) or self._changed(manifest):
            self.remote.useless.add(name)
            return None
        self.remote.useless.discard(name)
        try:
            with self._placing(digest, seed):
                if not self._in_folder(digest, seed):
                    self._place(digest, seed, files)
        except (MemkitError, OSError) as error:
            told(f"the stored run {self.remote}/{name} was fetched and cannot be kept here: {error}")
        return files

    def remove(self, digest: str, seed: int) -> bool:
        """Throw a run away, in the folder alone; return whether none is left."""
        with self._held(f"{digest}-{seed}.lock"):
            return discard(self._entry(digest, seed), self._runs)

    @contextmanager
    def lock(self, digest: str, seeds: Sequence[int]) -> Iterator[None]:
        """Hold the locks of some runs, and their leases where machines share them.

        The operating system lets go of a lock when its process dies.
        """
        with ExitStack() as stack:
            for seed in sorted(set(seeds)):  # in one order for everybody, so that no two wait for each other
                stack.enter_context(self._held(f"{digest}-{seed}.lock"))
            if self.remote is not None:
                stack.enter_context(leased(self.remote, (f"{digest}-{seed}" for seed in seeds), owner=self._name()))
            yield

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        """Hold a lock among the processes of this machine.

        Raises:
            MemkitError: the disk knows no locks, or the store cannot be written.
        """
        path = self.root / "locks" / name
        if os.path.isdir(path):  # a folder in the place of a lock is nobody's
            remove_all(path)
        lock = FileLock(path)
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:  # the latter is how filelock may say ENOSYS
            if isinstance(error, OSError) and error.errno not in _LOCKLESS:
                raise self._unwritable(error) from error
            said = error.strerror if isinstance(error, OSError) else os.strerror(errno.ENOSYS)
            raise MemkitError(
                f"the store {self.root} is on a disk on which files cannot be locked ({said}); with --store or "
                "MEMKIT_STORE, name a folder on a local disk, or the URL of a shared store"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> MemkitError:
        said = f"the store {self.root} cannot be written ({error.strerror})"
        return MemkitError(f"{said}; choose another folder with --store or MEMKIT_STORE")

    def _placing(self, digest: str, seed: int) -> AbstractContextManager[Any]:
        """Return a context in which one process at a time puts an entry into the folder.

        With a remote, several processes may fetch an entry, and whoever trains already holds its lock. Without one, the
        context does nothing.
        """
        if self.remote is None:
            return contextlib.nullcontext()
        return self._held(f"{digest}-{seed}.placing")

    def _name(self) -> str:
        """Return a name that no other folder has, as the owner of leases; "" where it cannot be read or written."""
        file = self.root / "name"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            with contextlib.suppress(FileExistsError), file.open("x", encoding="utf-8") as made:
                made.write(uuid.uuid4().hex)
            return file.read_text(encoding="utf-8")
        return ""

    def _entry(self, digest: str, seed: int) -> Path:
        return self.root / _folder(digest) / str(seed)

    @property
    def _runs(self) -> Path:
        return self.root / "runs"


def named_store(named: str | None, here: Path, root: Path, *, session: str = "") -> Store:
    """Return the store of a name: a folder, or a URL with the project's ``.memkit`` in front.

    Args:
        named: None for the project's ``.memkit`` alone.
        here: the directory that a relative name is relative to.
        root: of the project.
    """
    files = ProjectFiles(root)
    if named and "://" in named:
        return Store(root / ".memkit", session=session, remote=Remote(named), files=files)
    folder = named_path(named, here, what="store") if named else root / ".memkit"
    return Store(folder, session=session, files=files)


def _folder(digest: str) -> str:
    return f"runs/{digest[:2]}/{digest}"


def _object(digest: str, seed: int) -> str:
    return f"{_folder(digest)}/{seed}.zip"
