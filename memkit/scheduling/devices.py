"""Devices: deterministic algorithms, the detection of out-of-memory errors, and the release of cached memory."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deterministic(device: str) -> Iterator[None]:
    """Make torch choose deterministic algorithms, and warn if a device has none.

    On the CPU, all algorithms are deterministic anyway.
    """
    import torch

    if not device.startswith("cuda"):
        yield
        return
    # cuBLAS reads this variable when it computes its first product.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    previous = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(previous[0], warn_only=previous[1])


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error means that memory could not be allocated, on a device or on the machine."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # Other allocators, of torch for the CPU and of MLX, raise errors that only their messages identify.
    message = str(error).lower()
    return any(words in message for words in ("can't allocate memory", "out of memory", "unable to allocate"))


def free(device: str) -> None:
    """Release the memory of a device that torch has cached."""
    import torch

    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
