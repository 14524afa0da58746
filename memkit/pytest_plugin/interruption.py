"""How a run ends before it is through: by a signal, because nobody reads its output, because its controller was killed.

What was measured gets its evidence all the same; only a controller that was killed has no time for that, and then its
workers go, too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 1.0  # seconds between two looks at the parent


class Ended(KeyboardInterrupt):
    """The run was ended from outside. pytest goes on as after Ctrl-C."""


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, where nothing else was made of them. Further ones are ignored."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
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


def output_is_closed() -> bool:
    """Return whether standard output was closed by whoever read it, as in ``pytest | head -1``."""
    if sys.__stdout__ is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(sys.__stdout__.fileno(), 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))
    except (OSError, ValueError):
        return False


def say_to_nobody(text: str) -> None:
    """Send what is printed from here on nowhere, and say why on standard error."""
    assert sys.__stdout__ is not None  # it was closed by its reader
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno())
    os.close(nowhere)
    print(f"memkit: {text}", file=sys.stderr)


def end_with_parent() -> None:
    """End this process, a worker, within a second or two of its controller's death, whatever it is doing."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PATIENCE)
        os._exit(1)

    threading.Thread(target=watch, name="memkit-parent", daemon=True).start()
