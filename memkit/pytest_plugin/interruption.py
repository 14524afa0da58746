"""The early end of a run: by a signal, because nobody reads its output, or because its controller was killed.

The evidence of what was measured is written all the same. Only a controller that is killed has no time for that; then
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
_PATIENCE = 1.0  # seconds between two looks at the parent


class Ended(KeyboardInterrupt):
    """The run was ended from outside. pytest goes on as after Ctrl-C."""


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Turn the first SIGTERM or SIGHUP into an exception, unless somebody handles them; ignore further ones."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield
        return
    ours = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, frame: Any) -> None:
        for other in ours:
            signal.signal(other, signal.SIG_IGN)
        raise Ended(f"{signal.Signals(number).name} has ended the run; what was measured is in the evidence")

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore SIGTERM, SIGHUP and Ctrl-C while the evidence is written: it takes seconds, and is not to be cut short."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *_SIGNALS)}
    before = {number: handler for number, handler in before.items() if handler is not None}  # None: not from Python
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def print_nowhere_if_unread(config: pytest.Config, evidence: str) -> None:
    """Print nowhere from here on if nobody reads standard output any more, as in ``pytest | head -1``.

    So printing cannot cost the evidence.

    Args:
        evidence: the evidence file, which is named on standard error.
    """
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
        if sys.__stdout__ is None or not _is_closed(sys.__stdout__):
            return
        pipe = os.fstat(sys.__stdout__.fileno())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in _open_files():  # pytest has copies of it
            with suppress(OSError):
                if os.path.samestat(os.fstat(number), pipe):
                    os.dup2(nowhere, number)
        os.close(nowhere)
        print(f"memkit: standard output was closed; what was measured is in {evidence}", file=sys.stderr)


def _is_closed(file: Any) -> bool:
    """Return whether the other end of a file is closed, if it has one."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(file, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False


def _open_files() -> list[int]:
    """The numbers of this process's files."""
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return [1]


def end_with_parent() -> None:
    """End this process, a worker, within a second or two of its controller's death, whatever it is doing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, name="memkit-parent", daemon=True).start()
