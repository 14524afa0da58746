"""The second executor: cohorts as tasks of a Ray cluster, into a store that all of its nodes share.

A task takes the CPUs that its recipe declares, and with ``--device cuda`` its share of a GPU. A node that dies takes
its cohorts with it and nothing else: what they had finished is in the store, and the rest is started again on another
node. The nodes must have the same code and data as the process that asks, by the same names; where a recipe comes out
otherwise on a node, its digest says so and nothing is trained.
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

from memkit.errors import MemkitError, told
from memkit.scheduling.cohorts import Cohort
from memkit.scheduling.executor import Job, Result, train_cohort
from memkit.store.store import Store

_ENVIRONMENT = ("MEMKIT_DATA",)
"""Environment variables that a task is given as they are here."""


class RayExecutor:
    """Tasks of a Ray cluster.

    Args:
        address: of the cluster, as ``ray.init`` takes it; "auto" is the one that this machine belongs to.
        device: where they train.
        files: module → file, for modules that only pytest's importer finds.
        gpus: the least share of a GPU that a recipe of this run declares.

    Raises:
        MemkitError: Ray is not installed, there is no cluster, or it has no GPU for "cuda".
    """

    attempts = 4  # nodes of a cluster come and go

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
        self._own = not ray.is_initialized()
        if self._own:
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
            raise MemkitError("--device cuda: no node of the Ray cluster has a GPU; leave it out, or add one that has")
        self._tally = _tally(ray)
        self._asked: Any = None
        self._shares: dict[int, float] = {}
        self._count = 0

    @property
    def slots(self) -> int:
        """The number of tasks that the cluster has room for now; nodes come and go."""
        room = self._available("GPU") / self._gpus if self.device == "cuda" else self._available("CPU")
        return max(1, math.floor(room))

    def _available(self, kind: str) -> float:
        """Return how much of a resource the nodes have altogether."""
        resources: dict[str, float] = self._ray.cluster_resources()
        return resources.get(kind, 0.0)

    def submit(self, cohort: Cohort, store: Store) -> Job:
        """Start a task; Ray finds the node, and lets it wait where none has room."""
        training = cohort.training
        self._count += 1
        largest = max((node["Resources"].get("CPU", 0.0) for node in self._ray.nodes() if node["Alive"]), default=0.0)
        if training.cpus > largest:
            told(f"{cohort}: it asks for {training.cpus:g} CPUs, and waits until the cluster has a node with as many")
        task = self._ray.remote(_train).options(
            num_cpus=training.cpus,
            num_gpus=training.gpus if self.device == "cuda" else 0,
            max_retries=0,  # the queue tries again, with what is missing by then
            name=str(cohort),
        )
        given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        reference = task.remote(cohort, store, self.device, self.files, sys.path, given, self._tally, self._count)
        job = self._jobs[self._count] = _RayJob(self, self._count, reference)
        reference.future().add_done_callback(lambda future: job.end(future, cohort, store))
        return job

    def share(self, number: int) -> float:
        """Return the share of a task that is done, as last heard; ask again without waiting for the answer."""
        if self._asked is None:
            self._asked = self._tally.shares.remote()
        ready, _ = self._ray.wait([self._asked], timeout=0)
        if ready:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._shares = self._ray.get(self._asked)
            self._asked = None
        return self._shares.get(number, 0.0)

    def close(self) -> None:
        """See :class:`memkit.scheduling.executor.Executor`."""
        for job in self._jobs.values():
            if not job.result.done():
                with contextlib.suppress(Exception):
                    self._ray.cancel(job.reference, force=True)
        if self._own:
            self._ray.shutdown()


@dataclass(eq=False)
class _RayJob:
    executor: RayExecutor
    number: int
    reference: Any
    result: Future[Result] = field(default_factory=Future)

    def share(self) -> float:
        return 1.0 if self.result.done() else self.executor.share(self.number)

    def end(self, future: Future[Result], cohort: Cohort, store: Store) -> None:
        """Take the outcome of the task.

        Ray calls this in a thread of its own, where nobody would notice an exception.
        """
        try:
            self.result.set_result(self._outcome(future, cohort, store))
        except BaseException as error:
            self.result.set_exception(error)

    def _outcome(self, future: Future[Result], cohort: Cohort, store: Store) -> Result:
        errors = self.executor._ray.exceptions
        try:
            result = future.result()
        except errors.RayTaskError as error:  # the node has not come as far as training, which returns what it raises
            cause = getattr(error, "cause", error)
            said = str(cause).splitlines() or [""]
            return Result("failed", f"{type(cause).__name__} on a node: {said[0]}", str(error))
        except errors.RayError as error:
            raise BrokenProcessPool(str(error)) from error
        # What is at a URL may be out of reach for a while, from here or from there; a folder is shared or is not.
        if result.kind == "trained" and store.remote is None and store.missing(cohort.training.digest, cohort.seeds):
            return Result(
                "failed",
                f"it was trained on another node, but is not in the store {store}; name one that all nodes share with "
                "--store, a folder on a shared file system or a URL",
            )
        return result


def _tally(ray: Any) -> Any:
    """Start an actor that hears how far tasks are, on this node, which outlives the others for this run."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(_Tally).options(num_cpus=0, scheduling_strategy=here).remote()


class _Tally:
    """The progress of tasks."""

    def __init__(self) -> None:
        self._shares: dict[int, float] = {}

    def tell(self, number: int, share: float) -> None:
        self._shares[number] = share

    def shares(self) -> dict[int, float]:
        return self._shares


# --- on a node ------------------------------------------------------------------------------------------------


def _train(
    cohort: Cohort,
    store: Store,
    device: str,
    files: Mapping[str, str],
    path: list[str],
    environment: Mapping[str, str],
    tally: Any,
    number: int,
) -> Result:
    sys.path += [entry for entry in path if entry not in sys.path]
    os.environ.update(environment)
    return train_cohort(cohort, store, device=device, files=files, tell=lambda share: tally.tell.remote(number, share))
