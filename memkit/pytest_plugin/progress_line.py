"""The line on the terminal that shows the progress of training."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from memkit.pytest_plugin.terminal import can_print, duration, plural, start_new_line
from memkit.scheduling.queue import Progress, TrainingQueue

_LINE_INTERVAL = 20.0  # seconds between two lines if a line cannot be rewritten


class ProgressLine:
    """The progress of training: a line that is rewritten on a terminal, or a new line every 20 seconds elsewhere.

    The training thread may show it while the main thread prints reports, so both hold ``lock``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.lock = threading.RLock()
        self.shown = False
        self.busy_since: float | None = None
        self.last_shown = 0.0
        self.runs_before = 0

    @property
    def reporter(self) -> Any:
        """pytest's terminal reporter, or None if nothing should be printed."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        return None if reporter is None or self.config.option.verbose < 0 else reporter

    def show(self, queue: TrainingQueue) -> None:
        """Show the progress of training, unless it was shown a moment ago; remove the line once training has ended."""
        reporter, idle, progress, now = self.reporter, queue.idle, queue.progress, time.monotonic()
        if reporter is None:
            return
        with self.lock:
            if idle:
                self._end(progress)
                return
            if self.busy_since is None:
                self.busy_since = self.last_shown = now
            can_rewrite = bool(getattr(reporter, "isatty", False))
            if now - self.last_shown < (1.0 if can_rewrite else _LINE_INTERVAL):
                return
            self.last_shown = now
            left = f", about {duration(progress.remaining)} left" if progress.remaining is not None else ""
            text = f"{progress.share:.0%}, {progress.done} of {progress.total} runs{left}"
            if not self.shown:
                start_new_line(reporter)
            if can_rewrite:
                current = f": {progress.current[0]}" if progress.current else ""
                line = f"training {_bar(progress.share, reporter._tw)} {text}{current}"
                reporter.rewrite(line[: reporter._tw.fullwidth - 1], erase=True)
                self.shown = True
            else:
                reporter.write_line(f"training: {text}")

    def clear(self) -> None:
        """Remove the line before others print; the caller holds the lock until they have printed."""
        if self.shown:
            self.reporter.rewrite("", erase=True)
            self.reporter._tw.write("\r")
            self.reporter._tw._current_line = ""  # pytest computes from it how much space is left for its dots
            self.shown = False

    def _end(self, progress: Progress) -> None:
        if self.busy_since is None:
            return
        self.clear()
        took = time.monotonic() - self.busy_since
        if took >= 1:
            start_new_line(self.reporter)
            self.reporter.write_line(f"trained {plural(progress.done - self.runs_before, 'run')} in {duration(took)}")
        self.busy_since, self.runs_before = None, progress.done


def _bar(share: float, tw: Any, width: int = 20) -> str:
    full, empty = "━─" if can_print(tw, "━─") else "#-"
    done = round(share * width)
    return full * done + empty * (width - done)
