"""The Ray executor: it trains cohorts as tasks of a Ray cluster, into a store that all nodes share.

A task requests the CPUs that its recipe declares, and with ``--device cuda`` also its share of a GPU. If a node dies,
only the unfinished seeds of its cohorts are lost, and they are started again on another node. All nodes must have the
same code and data as the calling process, under the same names. If a recipe has a different digest on a node, nothing
is trained.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from memkit.errors import MemkitError, warn
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.executor import Job, Result, train_cohort
from memkit.store.store import Store

_ENVIRONMENT = ("MEMKIT_DATA",)
"""Environment variables of this process that tasks receive."""


class RayExecutor:
    """An executor that trains cohorts as tasks of a Ray cluster.

    Args:
        address: the address of the cluster for ``ray.init``; "auto" is the cluster that this machine belongs to.
        device: the device that tasks train on.
        files: module → file, for modules that only pytest can import.
        gpus: the smallest share of a GPU that a recipe of this run declares.

    Raises:
        MemkitError: if Ray is not installed, there is no cluster, or the device is "cuda" and no node has a GPU.
    """

    attempts = 4  # nodes of a cluster may disappear

    def __init__(
        self, address: str, *, device: str = "cpu", files: Mapping[str, str] | None = None, gpus: float = 1.0
    ) -> None:
        try:
            import ray
        except ImportError as error:
            raise MemkitError(
                "--executor ray needs Ray; install memkit with its extra [ray], as in pip install 'path/to/memkit[ray]'"
            ) from error
        self._ray: Any = ray
        self.device = device
        self.files = dict(files or {})
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            try:
                ray.init(address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise MemkitError(
                    f"there is no Ray cluster at {address!r} ({str(error).splitlines()[0]}); start one with `ray start "
                    "--head`, or name its head with --ray-address"
                ) from error
        self._gpus = gpus
        self._jobs: dict[int, _RayJob] = {}
        if device == "cuda" and not self._available("GPU"):
            self.close()
            raise MemkitError("--device cuda: no node of the Ray cluster has a GPU; add one, or leave --device out")
        self._progress_actor = _start_progress_actor(ray)
        self._pending_query: Any = None
        self._fractions: dict[int, float] = {}
        self._count = 0

    @property
    def slots(self) -> int:
        """The number of tasks that fit on the present nodes of the cluster."""
        capacity = self._available("GPU") / self._gpus if self.device == "cuda" else self._available("CPU")
        return max(1, math.floor(capacity))

    def _available(self, kind: str) -> float:
        """Return the total amount of a resource on all nodes."""
        resources: dict[str, float] = self._ray.cluster_resources()
        return resources.get(kind, 0.0)

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Start a task; Ray chooses the node, and lets the task wait until one has capacity."""
        training = cohort.training
        self._count += 1
        largest = max((node["Resources"].get("CPU", 0.0) for node in self._ray.nodes() if node["Alive"]), default=0.0)
        if training.cpus > largest:
            warn(f"{cohort}: it requests {training.cpus:g} CPUs, and waits until the cluster has a node with that many")
        task = self._ray.remote(_train).options(
            num_cpus=training.cpus,
            num_gpus=training.gpus if self.device == "cuda" else 0,
            max_retries=0,  # the queue repeats failed tasks, with the seeds that are missing then
            name=str(cohort),
        )
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        reference = task.remote(
            cohort, store, self.device, self.files, sys.path, environment, self._progress_actor, self._count
        )
        job = self._jobs[self._count] = _RayJob(self, self._count, reference)
        reference.future().add_done_callback(lambda future: job.end(future, cohort, store))
        return job

    def fraction_done(self, number: int) -> float:
        """Return the last known fraction of a task that is done, and query it again without waiting for the answer."""
        if self._pending_query is None:
            self._pending_query = self._progress_actor.fractions.remote()
        ready, _ = self._ray.wait([self._pending_query], timeout=0)
        if ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._fractions = self._ray.get(self._pending_query)
            self._pending_query = None
        return self._fractions.get(number, 0.0)

    def close(self) -> None:
        """Cancel the tasks that have not ended, and disconnect from the cluster if this object connected to it."""
        for job in self._jobs.values():
            if not job.result.done():
                with contextlib.suppress(Exception):
                    self._ray.cancel(job.reference, force=True)
        if self._started_ray:
            self._ray.shutdown()


@dataclass(eq=False)
class _RayJob:
    executor: RayExecutor
    number: int
    reference: Any
    result: Future[Result] = field(default_factory=Future)

    def fraction_done(self) -> float:
        return 1.0 if self.result.done() else self.executor.fraction_done(self.number)

    def end(self, future: Future[Result], cohort: Cohort, store: Store) -> None:
        """Set the result to the outcome of the task.

        Ray calls this in its own thread, where an exception would not be noticed.
        """
        try:
            self.result.set_result(self._outcome(future, cohort, store))
        except BaseException as error:
            self.result.set_exception(error)

    def _outcome(self, future: Future[Result], cohort: Cohort, store: Store) -> Result:
        errors = self.executor._ray.exceptions
        try:
            result = future.result()
        except errors.RayTaskError as error:  # raised before training, since training returns errors as results
            cause = getattr(error, "cause", error)
            lines = str(cause).splitlines() or [""]
            return Result("failed", f"{type(cause).__name__} on a node: {lines[0]}", str(error))
        except errors.RayError as error:
            raise BrokenProcessPool(str(error)) from error
        # Checked only for folders, since a URL may be unreachable for a while, from this machine or from the node.
        if result.kind == "trained" and store.remote is None and store.missing(cohort.training.digest, cohort.seeds):
            return Result(
                "failed",
                f"it was trained on another node, but is not in the store {store}; with --store, choose one that all "
                "nodes share: a folder on a shared file system, or a URL",
            )
        return result


def _start_progress_actor(ray: Any) -> Any:
    """Start the actor that collects the progress of tasks, on this node, which lives as long as the run."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(_ProgressActor).options(num_cpus=0, scheduling_strategy=here).remote()


class _ProgressActor:
    """The progress of tasks: number of the task → fraction that is done."""

    def __init__(self) -> None:
        self._fractions: dict[int, float] = {}

    def report(self, number: int, fraction: float) -> None:
        self._fractions[number] = fraction

    def fractions(self) -> dict[int, float]:
        return self._fractions


# --- on a node ------------------------------------------------------------------------------------------------


def _train(
    cohort: Cohort,
    store: Store,
    device: str,
    files: Mapping[str, str],
    path: list[str],
    environment: Mapping[str, str],
    progress_actor: Any,
    number: int,
) -> Result:
    sys.path += [entry for entry in path if entry not in sys.path]
    os.environ.update(environment)

    def report(fraction: float) -> None:
        progress_actor.report.remote(number, fraction)

    return train_cohort(cohort, store, device=device, files=files, report=report)
