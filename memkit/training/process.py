"""Settings of a training process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def prepare_process() -> None:
    """Prepare the process for training: one thread, and no denormal numbers.

    Denormal numbers slow the training of a small, converged model down by a factor of three to four. Several processes
    with one thread each use the cores better than one process with several threads.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@contextmanager
def prepared_process() -> Iterator[None]:
    """Apply :func:`prepare_process` within a ``with`` block, and restore the process's settings afterwards."""
    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0
    prepare_process()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)
