"""The platform, on which the last bits of a measurement depend besides the code; ``memkit reproduce`` compares it."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def calculated_on(device: str, *, trains: bool) -> dict[str, Any]:
    """Return the platform that a process calculates on, with None for packages that are not installed.

    Args:
        device: as torch names its type.
        trains: whether models are trained. In a run that neither trains nor has imported torch, what torch calculates
            with is None: to import it takes seconds.
    """
    found: dict[str, Any] = {"system": platform.system(), "machine": platform.machine(), "device": device}
    for name in ("numpy", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    cpu, threads = None, None
    if trains or "torch" in sys.modules:
        import torch

        cpu, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
        if device == "cuda":
            found["gpu"] = torch.cuda.get_device_name()
    return {**found, "cpu": cpu, "threads": threads}
