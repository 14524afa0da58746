"""``memkit audit``: what the history of the lock shows, and the present lock does not."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from memkit.cli import places
from memkit.errors import count_of
from memkit.evidence.lock_file import Lock
from memkit.evidence.lock_history import Version, audit, read_version
from memkit.git import GitError, git
from memkit.paths import LOCK

_TIMEOUT = 300


def run(options: argparse.Namespace) -> int:
    """Compare the lock with all its earlier versions; return 1 if something is missing, or not known in strict mode."""
    path = places.lock()
    present, undetermined, versions = Lock.load(path), list[str](), list[Version]()
    try:
        versions = list(history(path))
        if git(path.parent, "rev-parse", "--is-shallow-repository").strip() == b"true":
            undetermined.append(
                "the repository is a shallow clone, which lacks earlier versions of the lock; fetch them with "
                "`git fetch --unshallow`, or in CI with fetch-depth: 0"
            )
        if not versions:
            undetermined.append(f"{path.name} was never committed, so it has no history; commit it")
    except GitError as error:
        undetermined.append(
            f"the history of {path} cannot be read ({error}); run the audit in a clone of the repository"
        )
    result = audit(present, versions)
    for sentence in result.findings:
        print(f"MISSING  {sentence}")
    for sentence in (*undetermined, *result.undetermined):
        print(f"cannot be determined: {sentence}")
    for sentence in result.notes:
        print(sentence)
    print(
        f"{path}: {count_of(len(versions), 'earlier version')} compared, "
        f"{count_of(len(result.findings), 'fact')} missing from the present lock"
    )
    if options.restore and result.findings:
        result.restored.save(path)
        result = audit(result.restored, versions)
        print(f"{path}: restored; {count_of(len(result.findings), 'fact')} cannot be restored")
    is_unknown = bool(undetermined or result.undetermined)
    return 1 if result.findings or (is_unknown and options.memkit_strict) else 0


def history(path: Path) -> Iterator[Version]:
    """Yield every version of a lock that was committed, the newest first; each content is yielded once.

    The lock of a project is in its folder of claims or in its root, and may have moved from one to the other.

    Raises:
        GitError: the history cannot be read.
    """
    root = path.parent.parent if path.parent.name == "claims" else path.parent
    top = Path(git(root, "rev-parse", "--show-toplevel").decode().strip())
    names = [str((root / place).resolve().relative_to(top.resolve())) for place in (f"claims/{LOCK}", LOCK)]
    log = git(top, "log", "--full-history", "-m", "--format=%h %cI", "HEAD", "--", *names, timeout=_TIMEOUT).decode()
    commits = list(dict.fromkeys(log.split("\n")))
    lines = [line.split(" ") for line in commits if line.strip()]
    wanted = [f"{commit}:{name}" for commit, _ in lines for name in names]
    blobs = _blobs(top, wanted)
    seen = set[str | None]()
    for commit, date in lines:
        found: list[str | None] = [blob for name in names if (blob := blobs[f"{commit}:{name}"]) is not None]
        for blob in found or [None]:
            if blob is None or blob not in seen:
                yield read_version(commit, date, None if blob is None else _content(top, blob))
            seen.add(blob)


def _blobs(top: Path, names: list[str]) -> dict[str, str | None]:
    """Return commit:path → the id of its blob; None if the commit has no such file."""
    given = "".join(f"{name}\n" for name in names).encode()
    lines = git(top, "cat-file", "--batch-check", given=given, timeout=_TIMEOUT).decode().splitlines()
    kinds = [line.split(" ") for line in lines]
    return {
        name: kind[0] if len(kind) == 3 and kind[1] == "blob" else None for name, kind in zip(names, kinds, strict=True)
    }


@lru_cache(maxsize=4)
def _content(top: Path, blob: str) -> bytes:
    return git(top, "cat-file", "blob", blob, timeout=_TIMEOUT)
