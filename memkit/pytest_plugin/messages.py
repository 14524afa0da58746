"""The messages from the controller to the workers about which seeds may be measured.

An item waits until the seeds of its look are opened and their models are trained, or until its claim is settled, which
means that it needs no further seeds. With workers the messages are lines of JSON in a file: the controller appends
lines, and each worker reads those that are new. Without workers the controller and the items share one object.
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
    """Messages that one process posts and any process reads, and the state that follows from them.

    Args:
        file: the file for the messages; None if one process both posts and reads them.

    Attributes:
        open_seeds: claim id → the seeds that may be measured.
        settled: claim id → the reason why the claim needs no further seeds.
        pending_runs: the runs that are being trained, or wait for training.
        training_errors: run → the reason why it could not be trained.
        close_reason: the reason why there will be no more messages, or "" if there may be more.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.open_seeds: dict[str, set[int]] = {}
        self.settled: dict[str, str] = {}
        self.pending_runs: set[Run] = set()
        self.training_errors: dict[Run, str] = {}
        self.close_reason = ""
        self._file = file
        self._bytes_read = 0
        self._write_failed = False
        self._write_lock = threading.Lock()

    # --- posted by the controller ----------------------------------------------------------------------------

    def open(self, claim: str, seeds: Iterable[int], cohorts: Iterable[Cohort] = ()) -> None:
        """Post that seeds of a claim may be measured once these cohorts are trained.

        Raises:
            MemkitError: the file cannot be written. Only the first such failure raises, and :meth:`close` never does.
        """
        runs = [[c.training.digest, list(c.seeds)] for c in cohorts]
        self._post({"open": claim, "seeds": list(seeds), "training": runs})

    def settle(self, claim: str, reason: str) -> None:
        """Post that a claim needs no further seeds, and why."""
        self._post({"settle": claim, "reason": reason})

    def report_training(self, cohort: Cohort, result: Result) -> None:
        """Post the result of a cohort's training."""
        reason = "\n".join(filter(None, (result.reason, result.details))) if result.kind == "failed" else ""
        self._post({"trained": cohort.training.digest, "seeds": list(cohort.seeds), "failed": reason})

    def close(self, reason: str) -> None:
        """Post that there will be no more messages, so that no item keeps waiting."""
        self.close_reason = reason  # must be set before the items read the message and are skipped
        self._post({"close": reason})

    def _post(self, line: dict[str, Any]) -> None:
        with self._write_lock:
            if self._file is None:
                self._apply(line)
                return
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            except OSError as error:
                failed_before, self._write_failed = self._write_failed, True
                if failed_before or "close" in line:  # the run is ending, which an exception would disturb
                    return
                raise MemkitError(
                    f"the run cannot continue: {self._file} cannot be written ({error.strerror}); free space there, or "
                    "set TMPDIR to a folder that has space"
                ) from error

    # --- read by waiting items -------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the messages that were posted since the last call."""
        if self._file is None or not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._bytes_read)
            text = file.read()
        complete = text[: text.rfind(b"\n") + 1]  # the last line may be incomplete, as it is being written
        self._bytes_read += len(complete)
        for line in complete.splitlines():
            self._apply(json.loads(line))

    def _apply(self, line: dict[str, Any]) -> None:
        if "open" in line:
            self.pending_runs |= {(digest, seed) for digest, seeds in line["training"] for seed in seeds}
            self.open_seeds.setdefault(line["open"], set()).update(line["seeds"])
        elif "settle" in line:
            self.settled[line["settle"]] = line["reason"]
        elif "trained" in line:
            runs = {(line["trained"], seed) for seed in line["seeds"]}
            self.pending_runs -= runs
            if line["failed"]:
                self.training_errors |= dict.fromkeys(runs, line["failed"])
        else:
            self.close_reason = line["close"]


_MESSAGES = pytest.StashKey[Messages]()


def messages_of(config: pytest.Config) -> Messages:
    """Return the messages of a run; with workers they are in a file in the exchange folder."""
    if _MESSAGES not in config.stash:
        exchange = settings_of(config).exchange
        config.stash[_MESSAGES] = Messages(Path(exchange) / "messages.jsonl" if exchange else None)
    return config.stash[_MESSAGES]
