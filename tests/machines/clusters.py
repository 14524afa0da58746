"""A Ray cluster of two nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MEMORY = 100 * 2**20


class Two:
    """Two nodes of one CPU each, the head and another.

    Attributes:
        address: of the head.
    """

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
        head = {"num_cpus": 1, "object_store_memory": _MEMORY, "include_dashboard": False, "_system_config": quick}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self._other: Any = self._cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
        self.address: str = self._cluster.address

    def on_the_other(self, process: int) -> bool:
        """Whether a process belongs to the node that is not the head."""
        return _parent(process) == self._other.all_processes["raylet"][0].process.pid

    def kill_the_other(self) -> None:
        """As if somebody had pulled its plug."""
        self._cluster.remove_node(self._other, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[Two]:
    made = Two()
    try:
        yield made
    finally:
        made.close()


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
