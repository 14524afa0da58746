"""The compute platform: the versions and hardware that the last bits of a measurement depend on.

``memkit reproduce`` compares it with the platform in the evidence.
"""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any


def compute_platform(device: str, *, trains: bool) -> dict[str, Any]:
    """Return the platform that this process computes on: name → value, None for packages that are not installed.

    Args:
        device: the type of the device, as torch names it.
        trains: whether models are trained. If they are not, and torch has not been imported, the entries that only
            torch knows (``cpu``, ``threads``) are None, since importing torch takes seconds.
    """
    facts: dict[str, Any] = {"system": platform.system(), "machine": platform.machine(), "device": device}
    for name in ("numpy", "torch"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = None
    cpu, threads = None, None
    if trains or "torch" in sys.modules:
        import torch

        cpu, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
        if device == "cuda":
            facts["gpu"] = torch.cuda.get_device_name()
    return {**facts, "cpu": cpu, "threads": threads}
