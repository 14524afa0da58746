"""Deterministic algorithms and out-of-memory errors; how training reacts to the latter is tested in test_cohorts."""

from __future__ import annotations

import torch

from memkit.scheduling.devices import deterministic, lacks_memory


def test_algorithms_are_deterministic_on_cuda_and_reset_afterwards() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    for device in ("cuda", "cuda:1"):
        with deterministic(device):
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.is_deterministic_algorithms_warn_only_enabled(), (
                "without a deterministic algorithm, torch only warns"
            )
        assert torch.are_deterministic_algorithms_enabled() == before
    with deterministic("cpu"):
        assert torch.are_deterministic_algorithms_enabled() == before


def test_out_of_memory_errors_are_recognised() -> None:
    assert lacks_memory(MemoryError())
    assert lacks_memory(torch.OutOfMemoryError())
    assert lacks_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"))
    assert not lacks_memory(RuntimeError("shapes cannot be multiplied"))
