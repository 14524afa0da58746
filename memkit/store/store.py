"""The store of trained runs: one folder per recipe and seed, addressed by content, safe against crashes and bit rot.

::

    runs/ab/abcdef…/10003/   the files of a run (memkit.store.entries)
    measurements/…           what tests measured on trained models (memkit.store.measurements)
    locks/                   one lock file per run
    runs/tmp/                entries that are being written, and are renamed when complete; and damaged entries

An entry is complete or does not exist. Its checksums and its form are verified when it is read. A damaged entry is
moved out of the way and trained again, with a warning. Nothing is ever unpickled. Each of the folders may be a link to
another disk.

Machines can share a store at a URL (:mod:`memkit.store.remote`). The folder then acts as a cache of it: runs in the
folder are not fetched, and runs that are fetched or trained are written to both. At the URL, an entry is a single
object, ``10003.zip``, so that it is also complete or does not exist.
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

from memkit.errors import MemkitError, warn
from memkit.files import remove_all, replacing, write
from memkit.paths import named_path
from memkit.store.damaged_runs import discard, temporary_folder, warn_of_damaged_run
from memkit.store.dependencies import ProjectFiles, parse_dependencies
from memkit.store.entries import (
    MANIFEST,
    RECIPE,
    RUN,
    UnsupportedVersion,
    check_files,
    pack,
    read_verified,
    run_from_files,
    run_to_files,
    unpack,
)
from memkit.store.leases import leased
from memkit.store.remote import Remote
from memkit.store.verified_files import DAMAGED, describe_damage, make_folder, parse_object
from memkit.versions import version_of

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

_ABANDONED_AFTER = 24 * 3600.0  # seconds
_LOCKS_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""The error numbers of file systems that do not support locks."""


class Store:
    """A folder of trained runs.

    Args:
        root: the folder; :meth:`prepare` creates it.
        session: identifies the run of the suite; written into every entry.
        retrain: whether only entries of this session count as present, so that everything is trained again.
        remote: the part that machines share, or None. A store can be sent to other processes, and with a remote also to
            other machines.
        files: the files of the project, which show whether the dependencies of an entry have changed; or None.
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
        self._unremovable: set[tuple[str, int]] = set()  # damaged entries that could not be removed

    def __str__(self) -> str:
        return str(self.root if self.remote is None else self.remote)

    def prepare(self) -> None:
        """Create the folders, check that they can be written to, and delete incomplete entries that killed runs left.

        Raises:
            MemkitError: if the store cannot be written to, or its shared part cannot be used.
        """
        probe = f"probe-{uuid.uuid4().hex}"
        try:
            self._keep_out_of_git()
            for folder in (self._runs, self.root / "measurements", self.root / "locks", temporary_folder(self._runs)):
                folder.mkdir(parents=True, exist_ok=True)
            (temporary_folder(self._runs) / probe).write_bytes(b"")
            (temporary_folder(self._runs) / probe).unlink()
        except OSError as error:
            raise self._unwritable(error) from error
        with self._locked(probe):
            pass
        remove_all(self.root / "locks" / probe)
        # Earlier versions of memkit used the second folder.
        for path in (*temporary_folder(self._runs).glob("*"), *(self.root / "tmp").glob("*")):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                    remove_all(path)
        if self.remote is not None:
            self.remote.check()

    def _keep_out_of_git(self) -> None:
        """Write a ``.gitignore`` as ``.pytest_cache`` does, if the folder is new or is called ``.memkit``."""
        if not self.root.exists() or self.root.name == ".memkit":
            self.root.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), (self.root / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("# Written by memkit.\n*\n")

    def has(self, digest: str, seed: int) -> bool:
        """Return whether a run is in the store; its checksums are verified only when it is loaded."""
        return not self.missing(digest, [seed])

    def missing(self, digest: str, seeds: Iterable[int]) -> list[int]:
        """Return the seeds that have no entry."""
        missing = [seed for seed in seeds if not self._in_folder(digest, seed)]
        if missing and self.remote is not None:
            shared = self.remote.names(_folder(digest)) or set()
            missing = [seed for seed in missing if f"{seed}.zip" not in shared or not self._is_usable(digest, seed)]
        return missing

    def _in_folder(self, digest: str, seed: int) -> bool:
        path = self._entry(digest, seed) / MANIFEST
        if (digest, seed) in self._unremovable or not os.path.isfile(path):
            return False
        if not self.retrain and self.files is None:
            return True
        with contextlib.suppress(OSError, ValueError, KeyError):
            manifest = parse_object(path.read_bytes())
            return (not self.retrain or bool(manifest["session"] == self.session)) and not self._changed(manifest)
        return not self.retrain  # a damaged entry is reported when it is loaded

    def _changed(self, manifest: Mapping[str, Any]) -> str:
        """Return a file or package that has changed since a run was trained; "" if there is none."""
        if self.files is None:
            return ""
        versions = parse_dependencies(manifest.get("versions", {}))
        updated = (name for name, recorded in versions.items() if recorded != version_of(name))
        return next(updated, "") or self.files.changed(parse_dependencies(manifest.get("depends", {})))

    def depends(self, digest: str, seed: int) -> dict[str, str]:
        """Return file → checksum for the files that a run depends on; unverified, empty if unknown."""
        with contextlib.suppress(OSError, ValueError):
            return parse_dependencies(
                parse_object((self._entry(digest, seed) / MANIFEST).read_bytes()).get("depends", {})
            )
        return {}

    def _is_usable(self, digest: str, seed: int) -> bool:
        """Return whether a shared object counts as present: it is not known to be unusable or in need of retraining."""
        if self.remote is None or _object(digest, seed) in self.remote.unusable:
            return False
        return not self.retrain or self._fetch(digest, seed) is not None

    def cpu_seconds(self, digest: str, *, at_most: int = 8) -> list[float]:
        """Return the CPU seconds that some seeds of a recipe took, for estimates; unverified, perhaps empty."""
        seconds: list[float] = []
        folder = self._entry(digest, 0).parent
        with contextlib.suppress(OSError):
            for entry in sorted(folder.iterdir())[:at_most]:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError):
                    seconds.append(float(parse_object((entry / RUN).read_bytes())["metrics"]["cpu_seconds"]))
        return seconds

    def made(self, digest: str, seed: int) -> dict[str, Any]:
        """Return the provenance of a run, for readers: versions, device, cohort; unverified, empty if there is none."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return dict(parse_object((self._entry(digest, seed) / RUN).read_bytes())["made"])
        return {}

    def load(self, digest: str, seed: int) -> TrainedRun | None:
        """Return a run, verified; None if it does not exist, or if it was damaged and has been moved out of the way."""
        is_local = self._in_folder(digest, seed)
        fetched = None if is_local else self._fetch(digest, seed)
        if not is_local and fetched is None:
            return None
        entry = self._entry(digest, seed)
        try:
            contents = read_verified(entry, [digest, seed]) if fetched is None else fetched
            with contextlib.suppress(OSError):  # a read-only store cannot record when a run was last used
                os.utime(entry / RECIPE)
            return run_from_files(contents, seed)
        except MemoryError:
            raise
        except Exception as error:  # any exception: the data may come from another machine
            self.discard_damaged(digest, seed, describe_damage(error), shared_too=fetched is not None)
            return None

    def discard_damaged(self, digest: str, seed: int, damage: str, *, shared_too: bool = True) -> None:
        """Move a damaged run out of the way, with a warning, so that it is trained again.

        Args:
            digest: the digest of its recipe.
            seed: its seed.
            damage: the rest of a sentence that begins with the name of the run.
            shared_too: whether the copy at the URL is unusable as well.
        """
        entry = self._entry(digest, seed)
        if shared_too and self.remote is not None:
            self.remote.unusable.add(_object(digest, seed))
        # Discard the entry before the warning: if warnings are errors, the warning ends the run.
        if not discard(entry, self._runs):
            self._unremovable.add((digest, seed))
        warn_of_damaged_run(entry, damage)

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
        """Write a run, completely or not at all.

        Args:
            digest: the digest of the recipe.
            recipe: the recipe's JSON, for readers.
            run: the run.
            made: the run's provenance (versions, device, cohort), for readers.
            depends: file → checksum; see :mod:`memkit.store.dependencies`.
            versions: package → version, for the packages that the recipe's code imports.

        Raises:
            MemkitError: if the disk is full, or the store cannot be written to.
        """
        files = run_to_files(digest, recipe, run, made=made, session=self.session, depends=depends, versions=versions)
        with self._write_lock(digest, run.seed):
            self._write(digest, run.seed, files)
        if self.remote is not None:
            self.remote.put(_object(digest, run.seed), pack(files))

    def _write(self, digest: str, seed: int, files: Mapping[str, bytes]) -> None:
        """Write an entry into the folder, completely or not at all, and replace an existing one."""
        entry = self._entry(digest, seed)
        try:
            with replacing(entry, temporary_folder(self._runs)) as temporary:
                make_folder(temporary, self._runs)
                for name, content in files.items():
                    write(temporary / name, content, sync=True)
                make_folder(entry.parent, self._runs)
                if os.path.lexists(entry) and not os.path.isfile(entry / MANIFEST):
                    warn(f"the stored run {entry} {DAMAGED}: {MANIFEST} is missing; it is trained again")
                discard(entry, self._runs)
        except OSError as error:
            raise MemkitError(
                f"a trained run could not be written to the store {self.root} ({error.strerror}); free space "
                "there, or choose another folder with --store"
            ) from error
        self._unremovable.discard((digest, seed))

    def publish(self, digest: str, seeds: Iterable[int]) -> None:
        """Copy runs from the folder to the URL if they are missing there, since an earlier attempt may have failed."""
        if self.remote is None or (shared := self.remote.names(_folder(digest))) is None:
            return
        for seed in seeds:
            if f"{seed}.zip" not in shared and self._in_folder(digest, seed):
                with contextlib.suppress(Exception):  # damage is reported when the run is loaded
                    files = read_verified(self._entry(digest, seed), [digest, seed])
                    self.remote.put(_object(digest, seed), pack(files))

    def _fetch(self, digest: str, seed: int) -> dict[str, bytes] | None:
        """Copy an entry from the URL into the folder, and return its files; None if there is no usable entry."""
        name = _object(digest, seed)
        content = self.remote.get(name) if self.remote is not None else None
        if self.remote is None or content is None:
            return None
        try:
            files = unpack(content)
            manifest = check_files(files, [digest, seed])
        except MemoryError:
            raise
        except Exception as error:  # any exception: the data come from another machine
            self.remote.unusable.add(name)
            if not isinstance(error, UnsupportedVersion):  # machines with the other version may still use it
                self.remote.delete(name)
            warn(f"the stored run {self.remote}/{name} {describe_damage(error)}; it is trained again")
            return None
        if (self.retrain and manifest["session"] != self.session) or self._changed(manifest):
            self.remote.unusable.add(name)
            return None
        self.remote.unusable.discard(name)
        try:
            with self._write_lock(digest, seed):
                if not self._in_folder(digest, seed):
                    self._write(digest, seed, files)
        except (MemkitError, OSError) as error:
            warn(f"the stored run {self.remote}/{name} was fetched, but cannot be written to the store: {error}")
        return files

    def remove(self, digest: str, seed: int) -> bool:
        """Delete a run from the folder, but not from the URL; return whether it is gone."""
        with self._locked(f"{digest}-{seed}.lock"):
            return discard(self._entry(digest, seed), self._runs)

    @contextmanager
    def lock(self, digest: str, seeds: Sequence[int]) -> Iterator[None]:
        """Hold the locks of some runs, and also their leases if machines share the store.

        The operating system releases a lock when its process dies.
        """
        with ExitStack() as stack:
            for seed in sorted(set(seeds)):  # all processes use the same order, so that no two wait for each other
                stack.enter_context(self._locked(f"{digest}-{seed}.lock"))
            if self.remote is not None:
                stack.enter_context(leased(self.remote, (f"{digest}-{seed}" for seed in seeds), owner=self._owner()))
            yield

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a lock that excludes the other processes of this machine.

        Raises:
            MemkitError: if the disk does not support locks, or the store cannot be written to.
        """
        path = self.root / "locks" / name
        if os.path.isdir(path):  # a folder in the place of a lock file is damage
            remove_all(path)
        lock = FileLock(path)
        try:
            lock.acquire()
        except (OSError, NotImplementedError) as error:  # filelock may raise the latter for ENOSYS
            if isinstance(error, OSError) and error.errno not in _LOCKS_UNSUPPORTED:
                raise self._unwritable(error) from error
            reason = error.strerror if isinstance(error, OSError) else os.strerror(errno.ENOSYS)
            raise MemkitError(
                f"the store {self.root} is on a disk that does not support file locks ({reason}); with --store or "
                "MEMKIT_STORE, choose a folder on a local disk or the URL of a shared store"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _unwritable(self, error: OSError) -> MemkitError:
        return MemkitError(
            f"the store {self.root} cannot be written to ({error.strerror}); choose another folder with --store or "
            "MEMKIT_STORE"
        )

    def _write_lock(self, digest: str, seed: int) -> AbstractContextManager[Any]:
        """Return a context in which only one process at a time writes an entry into the folder.

        With a remote, several processes may fetch an entry at once, and they do not hold the lock for training it.
        Without a remote, the context does nothing, since only the holder of that lock writes the entry.
        """
        if self.remote is None:
            return contextlib.nullcontext()
        return self._locked(f"{digest}-{seed}.placing")

    def _owner(self) -> str:
        """Return a name that is unique to this folder, as the owner of leases; "" if it cannot be read or written."""
        file = self.root / "name"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            with contextlib.suppress(FileExistsError), file.open("x", encoding="utf-8") as new_file:
                new_file.write(uuid.uuid4().hex)
            return file.read_text(encoding="utf-8")
        return ""

    def _entry(self, digest: str, seed: int) -> Path:
        return self.root / _folder(digest) / str(seed)

    @property
    def _runs(self) -> Path:
        return self.root / "runs"


def named_store(named: str | None, here: Path, root: Path, *, session: str = "") -> Store:
    """Return the store at a path or a URL; a store at a URL has the project's ``.memkit`` as its local cache.

    Args:
        named: the path or URL; None for the project's ``.memkit``.
        here: the directory that a relative path is relative to.
        root: the root folder of the project.
        session: see :class:`Store`.
    """
    files = ProjectFiles(root)
    if named and "://" in named:
        return Store(root / ".memkit", session=session, remote=Remote(named), files=files)
    folder = named_path(named, here, label="store") if named else root / ".memkit"
    return Store(folder, session=session, files=files)


def _folder(digest: str) -> str:
    return f"runs/{digest[:2]}/{digest}"


def _object(digest: str, seed: int) -> str:
    return f"{_folder(digest)}/{seed}.zip"
