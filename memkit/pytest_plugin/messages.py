"""The messages from the controller to the workers about what may be measured.

An item waits until the seeds of its look are opened and their models are trained, or until its claim is settled, after
which it has nothing left to do. With workers the messages are lines of JSON in a file, which the controller appends to
and each worker reads on from where it was; without workers they are an object that both hold.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.pytest_plugin.settings import settings_of
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.executor import Result

Run = tuple[str, int]
"""A recipe's digest and a seed."""


class Messages:
    """Messages that one process posts and any process reads, and what they come to so far.

    Args:
        file: where they go; None where the process that posts them is the one that reads them.

    Attributes:
        opened: claim → the seeds that may be measured.
        settled: claim → why it needs no further seeds.
        pending: runs that are being trained, or are about to be.
        failed: run → why it could not be trained.
        closed: why nothing more will come, or "".
    """

    def __init__(self, file: Path | None = None) -> None:
        self.opened: dict[str, set[int]] = {}
        self.settled: dict[str, str] = {}
        self.pending: set[Run] = set()
        self.failed: dict[Run, str] = {}
        self.closed = ""
        self._file = file
        self._read = 0
        self._lost = False
        self._posting = threading.Lock()

    # --- posted by the controller ----------------------------------------------------------------------------

    def open(self, claim: str, seeds: Iterable[int], cohorts: Iterable[Cohort] = ()) -> None:
        """Post that seeds of a claim may be measured, once these cohorts are trained.

        Raises:
            MemkitError: the file cannot be written; it is said once, and :meth:`close` does not say it.
        """
        runs = [[c.training.digest, list(c.seeds)] for c in cohorts]
        self._post({"open": claim, "seeds": list(seeds), "training": runs})

    def settle(self, claim: str, reason: str) -> None:
        """Post that a claim needs no further seeds, and why."""
        self._post({"settle": claim, "reason": reason})

    def trained(self, cohort: Cohort, result: Result) -> None:
        """Post how a cohort's training has ended."""
        reason = "\n".join(filter(None, (result.reason, result.details))) if result.kind == "failed" else ""
        self._post({"trained": cohort.training.digest, "seeds": list(cohort.seeds), "failed": reason})

    def close(self, reason: str) -> None:
        """Post that nothing more will come, so that nobody waits any longer."""
        self.closed = reason  # before the items hear of it, and are skipped
        self._post({"close": reason})

    def _post(self, line: dict[str, Any]) -> None:
        with self._posting:
            if self._file is None:
                self._take(line)
                return
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError as error:
                lost, self._lost = self._lost, True
                if lost or "close" in line:  # the run is ending, and must not be kept from it
                    return
                raise MemkitError(
                    f"the run cannot go on: {self._file} cannot be written ({error.strerror}); free space there, or "
                    "set TMPDIR to a folder that has some"
                ) from error

    # --- read by whoever waits -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what has been posted since the last time."""
        if self._file is None or not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]  # the last line may still be being written
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if "open" in line:
            self.pending |= {(digest, seed) for digest, seeds in line["training"] for seed in seeds}
            self.opened.setdefault(line["open"], set()).update(line["seeds"])
        elif "settle" in line:
            self.settled[line["settle"]] = line["reason"]
        elif "trained" in line:
            runs = {(line["trained"], seed) for seed in line["seeds"]}
            self.pending -= runs
            if line["failed"]:
                self.failed |= dict.fromkeys(runs, line["failed"])
        else:
            self.closed = line["close"]


_MESSAGES = pytest.StashKey[Messages]()


def messages_of(config: pytest.Config) -> Messages:
    """Return the messages of a run; with workers, by a file in the exchange folder."""
    if _MESSAGES not in config.stash:
        exchange = settings_of(config).exchange
        config.stash[_MESSAGES] = Messages(Path(exchange) / "messages.jsonl" if exchange else None)
    return config.stash[_MESSAGES]
