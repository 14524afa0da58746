"""Devices: training chooses deterministic algorithms on them, notices that memory is short, and frees it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deterministic(device: str) -> Iterator[None]:
    """Let torch choose deterministic algorithms where a device has them, and warn where it has none.

    On the CPU they are deterministic in any case.
    """
    import torch

    if not device.startswith("cuda"):
        yield
        return
    # cuBLAS reads it when it computes its first product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error says that memory could not be allocated, on a device or on the machine."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # torch's allocator for the CPU, its others, and MLX's say so only in their messages.
    said = str(error).lower()
    return any(words in said for words in ("can't allocate memory", "out of memory", "unable to allocate"))


def free(device: str) -> None:
    """Free the memory of a device that torch keeps for later."""
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
