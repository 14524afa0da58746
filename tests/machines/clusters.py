"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MEMORY = 100 * 2**20


class Two:
    """A cluster of two nodes with one CPU each: the head and another.

    Attributes:
        address: the address of the head.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
        head = {"num_cpus": 1, "object_store_memory": _MEMORY, "include_dashboard": False, "_system_config": quick}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._other: Any = self._cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
        self.address: str = self._cluster.address

    def on_the_other(self, process: int) -> bool:
        """Return whether a process belongs to the node that is not the head."""
        return _parent(process) == self._other.all_processes["raylet"][0].process.pid

    def kill_the_other(self) -> None:
        """Remove the node that is not the head without warning, as a loss of power would."""
        self._cluster.remove_node(self._other, allow_graceful=False)

    def close(self) -> None:
        """Shut the cluster down."""
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[Two]:
    """Run a cluster of two nodes within a ``with`` block."""
    cluster = Two()
    try:
        yield cluster
    finally:
        cluster.close()


def _parent(process: int) -> int:
    """Return the parent of a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
