"""Settings of a process that trains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def prepare_process() -> None:
    """Settings of a training process: one thread, and no denormal numbers.

    Denormals make a small model that has converged train three to four times slower; several processes with a
    thread each use the cores better than one process with several.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@contextmanager
def prepared_process() -> Iterator[None]:
    """:func:`prepare_process` for a while: a test process in which a run was trained calculates as before."""
    threads, flushing = torch.get_num_threads(), sys.float_info.min / 2 == 0
    prepare_process()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushing)
