"""The early end of a run: by a signal, because its output pipe is closed, or because its controller was killed.

The evidence of the finished measurements is written all the same, except when the controller is killed. In that case
its workers end, too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_POLL_INTERVAL = 1.0  # seconds


class RunEnded(KeyboardInterrupt):
    """The exception for a signal that ends the run; pytest handles it like Ctrl-C."""


@contextmanager
def signals_end_the_run() -> Iterator[None]:
    """Turn the first SIGTERM or SIGHUP into an exception and ignore later ones; leave handlers of others in place.

    Raises:
        RunEnded: at the first signal.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    unhandled = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        for other in unhandled:
            signal.signal(other, signal.SIG_IGN)
        name = signal.Signals(number).name
        raise RunEnded(f"{name} has ended the run; the evidence contains what was measured before")

    for number in unhandled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore SIGTERM, SIGHUP and Ctrl-C, so that they do not interrupt the writing of the evidence."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *_SIGNALS)}
    # None means that the handler was not installed from Python, so it could not be restored.
    handlers = {number: handler for number, handler in handlers.items() if handler is not None}
    for number in handlers:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def discard_output_if_closed(config: pytest.Config, evidence: str) -> None:
    """Discard all further output if nobody reads standard output any more, as in ``pytest | head -1``.

    Otherwise a printing error could prevent the evidence from being written.

    Args:
        evidence: the evidence file, which a message on standard error names.
    """
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        if sys.__stdout__ is None or not _is_closed(sys.__stdout__):
            return
        pipe = os.fstat(sys.__stdout__.fileno())
        null = os.open(os.devnull, os.O_WRONLY)
        for number in _open_file_descriptors():  # pytest has duplicates of standard output
            with suppress(OSError):
                if os.path.samestat(os.fstat(number), pipe):
                    os.dup2(null, number)
        os.close(null)
        print(f"memkit: standard output was closed; {evidence} contains what was measured", file=sys.stderr)


def _is_closed(file: Any) -> bool:
    """Return whether a file is a pipe or socket whose other end is closed."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(file, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False


def _open_file_descriptors() -> list[int]:
    """Return the open file descriptors of this process."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return [1]


def end_with_parent() -> None:
    """End this worker process within two seconds of the death of its controller, even in the middle of a test."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_INTERVAL)
        os._exit(1)

    threading.Thread(target=watch, name="memkit-parent", daemon=True).start()
