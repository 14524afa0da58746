"""The board: what the controller has to say to the items of claims, while the run goes on.

Items wait for their turn here: until the seeds of their look are opened, until their models are trained, or until
their claim is settled, after which they have nothing left to do. With workers the board is a file of JSON lines that
the controller appends to and the workers read on from where they were; without, it is an object that both hold.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memkit.errors import MemkitError
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.executor import Result

Run = tuple[str, int]
"""A recipe's digest and a seed."""


class Board:
    """Posted by one process, read by any.

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

    # --- the controller --------------------------------------------------------------------------------------

    def open(self, claim: str, seeds: Iterable[int], cohorts: Iterable[Cohort] = ()) -> None:
        """The seeds of a claim may be measured, once these cohorts are trained."""
        runs = [[c.training.digest, list(c.seeds)] for c in cohorts]
        self._post({"open": claim, "seeds": list(seeds), "training": runs})

    def settle(self, claim: str, reason: str) -> None:
        """A claim needs no further seeds."""
        self._post({"settle": claim, "reason": reason})

    def trained(self, cohort: Cohort, result: Result) -> None:
        """A cohort's training has ended."""
        reason = "\n".join(filter(None, (result.reason, result.details))) if result.kind == "failed" else ""
        self._post({"trained": cohort.training.digest, "seeds": list(cohort.seeds), "failed": reason})

    def close(self, reason: str) -> None:
        """Nothing more will come; whoever waits is to go home."""
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

    # --- whoever waits ---------------------------------------------------------------------------------------

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
