"""The store of trained runs: one folder a (recipe, seed), found by content, safe against crashes and bit rot.

::

    runs/ab/abcdef…/10003/   weights.safetensors   the state dict
                             run.json              metrics, history, divergence, how it was made
                             recipe.json           the recipe in clear
                             manifest.json         version, and a checksum of each file above
    measurements/…           what tests measured on trained models (memkit.training.measurements)
    locks/                   one lock file a run
    tmp/                     entries being written, renamed into place when they are whole; and damaged ones

An entry is either whole or not there. Checksums are verified on reading; what does not verify is moved away
and trained again, with a warning. Nothing is ever unpickled.

A store that machines share lies at a URL (:mod:`memkit.training.remote`), and the folder is in front of it: what is in
the folder is not asked for, what is fetched or trained is kept in both. There an entry is one object, ``10003.zip``, so
that it is whole or not there as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import time
import uuid
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from memkit.errors import MemkitError, MemkitWarning
from memkit.training.remote import Remote, told

if TYPE_CHECKING:
    from memkit.training.trainer import TrainedRun

VERSION = 1
_WEIGHTS, _RUN, RECIPE, MANIFEST = "weights.safetensors", "run.json", "recipe.json", "manifest.json"
_DAMAGED = "is damaged"
_ABANDONED_AFTER = 24 * 3600.0


class Store:
    """A folder of trained runs.

    Args:
        root: the folder; it is made where it is missing.
        session: names the run of the suite; written into every entry.
        retrain: only entries of this session count as present, so that everything is trained once more.
        remote: what other machines see of it too, or None. A store can be sent to other processes, and with a remote to
            other machines.
    """

    def __init__(self, root: Path, *, session: str = "", retrain: bool = False, remote: Remote | None = None) -> None:
        self.root = Path(root)
        self.session = session
        self.retrain = retrain
        self.remote = remote

    def __str__(self) -> str:
        return str(self.root if self.remote is None else self.remote)

    def prepare(self) -> None:
        """Make the folders, see that they can be written, and clear away what a killed run left half-written.

        Raises:
            MemkitError: the store cannot be written, or what it shares with others cannot be reached.
        """
        try:
            for name in ("runs", "measurements", "locks", "tmp"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            probe = self.root / "tmp" / f"probe-{uuid.uuid4().hex}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise MemkitError(
                f"the store {self.root} cannot be written ({error.strerror}); choose another folder with "
                "--store or MEMKIT_STORE"
            ) from error
        for path in (self.root / "tmp").iterdir():
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER:
                    _remove(path)
        if self.remote is not None:
            self.remote.check()

    def has(self, digest: str, seed: int) -> bool:
        """Whether a run is there; its checksums are verified only when it is loaded."""
        return not self.missing(digest, [seed])

    def missing(self, digest: str, seeds: Iterable[int]) -> list[int]:
        """The seeds that have no entry."""
        lacking = [seed for seed in seeds if not self._in_folder(digest, seed)]
        if lacking and self.remote is not None:
            there = self.remote.names(_folder(digest)) or set()
            lacking = [seed for seed in lacking if f"{seed}.zip" not in there or not self._of_use(digest, seed)]
        return lacking

    def _in_folder(self, digest: str, seed: int) -> bool:
        manifest = self._entry(digest, seed) / MANIFEST
        if not self.retrain:
            return manifest.is_file()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return bool(json.loads(manifest.read_bytes())["session"] == self.session)
        return False

    def _of_use(self, digest: str, seed: int) -> bool:
        """Whether an object that is there counts: any does, but what was of no use before, and what is retrained."""
        if self.remote is None or _object(digest, seed) in self.remote.useless:
            return False
        return not self.retrain or self._fetch(digest, seed) is not None

    def cpu_seconds(self, digest: str, *, at_most: int = 8) -> list[float]:
        """What training some seeds of a recipe took, for estimates; unverified, and empty where there are none."""
        found: list[float] = []
        folder = self._entry(digest, 0).parent
        with contextlib.suppress(OSError):
            for entry in sorted(folder.iterdir())[:at_most]:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    found.append(float(json.loads((entry / _RUN).read_bytes())["metrics"]["cpu_seconds"]))
        return found

    def made(self, digest: str, seed: int) -> dict[str, Any]:
        """How a run was made, for readers: versions, device, cohort; unverified, and empty where there is none."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return dict(json.loads((self._entry(digest, seed) / _RUN).read_bytes())["made"])
        return {}

    def load(self, digest: str, seed: int) -> TrainedRun | None:
        """A run, verified; None where there is none, or where it was damaged and has been moved away."""
        from safetensors.torch import load as load_tensors

        from memkit.training.trainer import TrainedRun

        here = self._in_folder(digest, seed)
        fetched = None if here else self._fetch(digest, seed)
        if not here and fetched is None:
            return None
        entry = self._entry(digest, seed)
        try:
            contents = _verified(entry, [digest, seed]) if fetched is None else fetched
            with contextlib.suppress(OSError):  # a store that cannot be written does not know what was used last
                os.utime(entry / RECIPE)
            run = json.loads(contents[_RUN])
            return TrainedRun(
                seed=seed,
                state=load_tensors(contents[_WEIGHTS]),
                metrics={name: _number(value) for name, value in run["metrics"].items()},
                history=tuple((int(step), _number(loss)) for step, loss in run["history"]),
                validation=tuple((int(at), _number(loss), _number(right)) for at, loss, right in run["validation"]),
                diverged=run["diverged"],
            )
        except MemoryError:
            raise
        except Exception as error:  # whatever is made of what may come from elsewhere
            if fetched is not None and self.remote is not None:
                self.remote.useless.add(_object(digest, seed))
            # First out of the way: where warnings are errors, the next line ends the run.
            self._discard(entry)
            warnings.warn(f"the stored run {entry} {_why(error)}; it is trained again", MemkitWarning, stacklevel=2)
            return None

    def save(self, digest: str, recipe: Mapping[str, Any], run: TrainedRun, *, made: Mapping[str, Any]) -> None:
        """Write a run, whole or not at all.

        Args:
            recipe: the recipe's JSON, for readers.
            made: how it was made (versions, device, cohort), for readers.

        Raises:
            MemkitError: the disk is full, or the store cannot be written.
        """
        from safetensors.torch import save as save_tensors

        files = {
            _WEIGHTS: save_tensors(dict(run.state)),
            _RUN: _dump(
                {
                    "metrics": {name: _plain(value) for name, value in run.metrics.items()},
                    "history": [[step, _plain(loss)] for step, loss in run.history],
                    "validation": [[at, _plain(loss), _plain(right)] for at, loss, right in run.validation],
                    "diverged": run.diverged,
                    "made": dict(made),
                }
            ),
            RECIPE: _dump(recipe),
        }
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        files[MANIFEST] = _dump(
            {"version": VERSION, "run": [digest, run.seed], "session": self.session, "sha256": sums}
        )
        with self._placing(digest, run.seed):
            self._place(digest, run.seed, files)
        if self.remote is not None:
            self.remote.put(_object(digest, run.seed), _packed(files))

    def _place(self, digest: str, seed: int, files: Mapping[str, bytes]) -> None:
        """Put an entry into the folder, whole or not at all; in the place of one that is there."""
        aside = self.root / "tmp" / uuid.uuid4().hex
        entry = self._entry(digest, seed)
        try:
            aside.mkdir(parents=True)
            for name, content in files.items():
                _write(aside / name, content)
            entry.parent.mkdir(parents=True, exist_ok=True)
            self._discard(entry)
            aside.rename(entry)
        except OSError as error:
            _remove(aside)
            raise MemkitError(
                f"a trained run could not be written to the store {self.root} ({error.strerror}); free space "
                "there, or choose another folder with --store"
            ) from error

    def publish(self, digest: str, seeds: Iterable[int]) -> None:
        """Let others see what is in the folder, where they do not: an earlier try may have failed."""
        if self.remote is None or (there := self.remote.names(_folder(digest))) is None:
            return
        for seed in seeds:
            if f"{seed}.zip" not in there and self._in_folder(digest, seed):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # whoever loads it finds it damaged
                    files = _verified(self._entry(digest, seed), [digest, seed])
                    self.remote.put(_object(digest, seed), _packed(files))

    def _fetch(self, digest: str, seed: int) -> dict[str, bytes] | None:
        """The files of an entry that others see, taken over into the folder; None where there is none of use."""
        name = _object(digest, seed)
        content = self.remote.get(name) if self.remote is not None else None
        if self.remote is None or content is None:
            return None
        try:
            files = _unpacked(content)
            manifest = _check(files, [digest, seed])
        except MemoryError:
            raise
        except Exception as error:  # whatever is made of what comes from elsewhere
            self.remote.useless.add(name)
            if not isinstance(error, _OtherVersion):  # which the memkit that wrote it may still want
                self.remote.delete(name)
            told(f"the stored run {self.remote}/{name} {_why(error)}; it is trained again")
            return None
        if self.retrain and manifest["session"] != self.session:
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

    def remove(self, digest: str, seed: int) -> None:
        """Throw a run away, in the folder alone; nothing happens where there is none."""
        with self._file_lock(digest, seed):
            self._discard(self._entry(digest, seed))

    @contextmanager
    def lock(self, digest: str, seeds: Sequence[int]) -> Iterator[None]:
        """Hold the locks of some runs, and their leases where machines share them.

        The operating system lets go of a lock when its process dies.
        """
        with ExitStack() as stack:
            for seed in sorted(set(seeds)):  # in one order for everybody, so that no two wait for each other
                stack.enter_context(self._file_lock(digest, seed))
            if self.remote is not None:
                stack.enter_context(self.remote.leased((f"{digest}-{seed}" for seed in seeds), owner=self._name()))
            yield

    def _file_lock(self, digest: str, seed: int) -> FileLock:
        return FileLock(self.root / "locks" / f"{digest}-{seed}.lock")

    def _placing(self, digest: str, seed: int) -> AbstractContextManager[Any]:
        """Who puts an entry into the folder: several processes may fetch one, and whoever trains holds its lock."""
        if self.remote is None:
            return contextlib.nullcontext()
        return FileLock(self.root / "locks" / f"{digest}-{seed}.placing")

    def _name(self) -> str:
        """A name that no other folder has: whoever holds locks in it holds them for this one."""
        file = self.root / "name"
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError), file.open("x", encoding="utf-8") as made:
                made.write(uuid.uuid4().hex)
            return file.read_text(encoding="utf-8")
        return ""

    def _entry(self, digest: str, seed: int) -> Path:
        return self.root / _folder(digest) / str(seed)

    def _discard(self, entry: Path) -> None:
        """Move an entry out of the way in one step, then delete it."""
        aside = self.root / "tmp" / f"discarded-{uuid.uuid4().hex}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            entry.rename(aside)
            _remove(aside)


def named_store(named: str | None, here: Path, *, session: str = "") -> Store:
    """The store that a command line or MEMKIT_STORE names: a folder, or a URL, and ``.memkit`` in front of it.

    Args:
        here: the directory that names are relative to.
    """
    named = named or os.environ.get("MEMKIT_STORE") or ".memkit"
    if "://" in named:
        return Store(here / ".memkit", session=session, remote=Remote(named))
    return Store(here / Path(named).expanduser(), session=session)


def _folder(digest: str) -> str:
    return f"runs/{digest[:2]}/{digest}"


def _object(digest: str, seed: int) -> str:
    return f"{_folder(digest)}/{seed}.zip"


def check_entry(entry: Path) -> str:
    """What is wrong with the folder of a run, in words that follow its name; "" where all of it verifies."""
    try:
        _verified(entry, [entry.parent.name, int(entry.name)])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _why(error)
    return ""


def read_json(path: Path) -> Any:
    """Read what :func:`write_json` wrote; None where there is nothing.

    Raises:
        ValueError: the file is damaged; the message continues a sentence that begins with its name.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(_why(error)) from error
    return from_bytes(data)


def from_bytes(data: bytes) -> Any:
    """What :func:`to_bytes` was given.

    Raises:
        ValueError: the bytes are damaged; the message continues a sentence that begins with the name of their file.
    """
    try:
        read = json.loads(data)
        content, checksum = read["content"], read["sha256"]
        found = hashlib.sha256(_dump(content)).hexdigest()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(_why(error)) from error
    if found != checksum:
        raise ValueError(f"{_DAMAGED}: its checksum does not verify")
    return content


def to_bytes(content: Any) -> bytes:
    """JSON with its checksum."""
    text = _dump(content)
    return b'{"sha256": "%s",\n"content": %s}' % (hashlib.sha256(text).hexdigest().encode(), text)


def write_json(path: Path, content: Any) -> None:
    """Write JSON with its checksum, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # Not synced: there are thousands, and one that a loss of power leaves behind does not verify.
        _write(aside, to_bytes(content), sync=False)
        aside.replace(path)
    except OSError:
        _remove(aside)
        raise


def _verified(entry: Path, run: list[str | int]) -> dict[str, bytes]:
    """The contents of an entry's files, each held against its checksum."""
    # The manifest first: of another version, the others may have other names.
    contents = {MANIFEST: (entry / MANIFEST).read_bytes()}
    _check_manifest(contents, run)
    contents |= {name: (entry / name).read_bytes() for name in (_WEIGHTS, _RUN, RECIPE)}
    _check(contents, run)
    return contents


class _OtherVersion(ValueError):
    """Not damaged: another memkit wrote it."""


def _check_manifest(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    manifest = json.loads(files[MANIFEST])
    if manifest["version"] != VERSION:
        raise _OtherVersion(f"has version {manifest['version']!r}, this memkit writes {VERSION}")
    if manifest["run"] != run:
        raise ValueError("holds another run than its place says")
    return manifest


def _check(files: Mapping[str, bytes], run: list[str | int]) -> Any:
    """Hold the files of an entry against its manifest, which is returned."""
    manifest = _check_manifest(files, run)
    for name in (_WEIGHTS, _RUN, RECIPE):
        if hashlib.sha256(files[name]).hexdigest() != manifest["sha256"][name]:
            raise ValueError(f"{_DAMAGED}: the checksum of {name} does not verify")
    return manifest


def _packed(files: Mapping[str, bytes]) -> bytes:
    """The files of an entry as one object, not compressed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def _unpacked(content: bytes) -> dict[str, bytes]:
    """What :func:`_packed` was given: those four names, and nothing that unfolds to more than it takes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sorted(member.filename for member in members) != sorted((_WEIGHTS, _RUN, RECIPE, MANIFEST)):
            raise ValueError("holds other files than a run has")
        if any(member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content) for member in members):
            raise ValueError("is packed otherwise than a run is")
        return {member.filename: archive.read(member) for member in members}


def _why(error: Exception) -> str:
    """What is wrong with a file or folder, in words that follow its name."""
    if isinstance(error, FileNotFoundError):
        return f"{_DAMAGED}: {Path(error.filename).name} is missing"
    said = str(error)
    return said if said.startswith((_DAMAGED, "has version")) else f"{_DAMAGED}: {said}"


def _write(path: Path, content: bytes, *, sync: bool = True) -> None:
    with path.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _dump(data: Any) -> bytes:
    return json.dumps(data, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1).encode()


def _plain(value: float) -> float | str:
    """JSON has no nan and no infinity; their names are written instead."""
    return value if math.isfinite(value) else str(value)


def _number(value: float | str) -> float:
    return float(value) if isinstance(value, str) else value


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
