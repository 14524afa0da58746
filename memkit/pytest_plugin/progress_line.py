"""The line on the terminal that tells how far training is."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from memkit.pytest_plugin.terminal import duration, end_line, plural, prints
from memkit.scheduling.queue import Progress, TrainingQueue

_QUIET = 20.0  # seconds between two lines where a line cannot be rewritten


class ProgressLine:
    """Training progress: one line that is rewritten on a terminal, now and then a line elsewhere.

    It may be shown from another thread than the one that prints reports, so both hold ``lock``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.lock = threading.RLock()
        self.shown = False
        self.busy_since: float | None = None
        self.last = 0.0
        self.before = 0

    @property
    def reporter(self) -> Any:
        """pytest's, or None where nothing is to be printed."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        return None if reporter is None or self.config.option.verbose < 0 else reporter

    def show(self, queue: TrainingQueue) -> None:
        """Show how far training is, if there is any, and if it is time to."""
        reporter, idle, progress, now = self.reporter, queue.idle, queue.progress, time.monotonic()
        if reporter is None:
            return
        with self.lock:
            if idle:
                self._end(progress)
                return
            if self.busy_since is None:
                self.busy_since = self.last = now
            live = bool(getattr(reporter, "isatty", False))
            if now - self.last < (1.0 if live else _QUIET):
                return
            self.last = now
            left = f", about {duration(progress.remaining)} left" if progress.remaining is not None else ""
            text = f"{progress.share:.0%}, {progress.done} of {progress.total} runs{left}"
            if not self.shown:
                end_line(reporter)
            if live:
                current = f": {progress.current[0]}" if progress.current else ""
                line = f"training {_bar(progress.share, reporter._tw)} {text}{current}"
                reporter.rewrite(line[: reporter._tw.fullwidth - 1], erase=True)
                self.shown = True
            else:
                reporter.write_line(f"training: {text}")

    def clear(self) -> None:
        """Take the line away, for others to print; hold the lock while they do."""
        if self.shown:
            self.reporter.rewrite("", erase=True)
            self.reporter._tw.write("\r")
            self.reporter._tw._current_line = ""  # by which pytest knows how much room is left for its dots
            self.shown = False

    def _end(self, progress: Progress) -> None:
        if self.busy_since is None:
            return
        self.clear()
        took = time.monotonic() - self.busy_since
        if took >= 1:
            end_line(self.reporter)
            self.reporter.write_line(f"trained {plural(progress.done - self.before, 'run')} in {duration(took)}")
        self.busy_since, self.before = None, progress.done


def _bar(share: float, tw: Any, width: int = 20) -> str:
    full, empty = "━─" if prints(tw, "━─") else "#-"
    done = round(share * width)
    return full * done + empty * (width - done)
