"""Run the tests with one thread, like a training process."""

from __future__ import annotations

from tests.machines.fixtures import one_thread

__all__ = ["one_thread"]
