"""Compare exact retrieval with faiss's flat index, and measure the training of a network with a neighbour memory.

    python benchmarks/retrieval.py [--repetitions 7] [--smoke]

Retrieval: the 8 nearest of random keys of 128 numbers, by memkit's ``nearest`` and by ``IndexFlatL2`` of faiss
(``pip install faiss-cpu``; without it only memkit's times are shown). The benchmark fails unless both find the same
neighbours. Depending on the number of queries, faiss computes distances one by one or by matrix products; it is
measured with its own choice, and with matrix products always. The OpenBLAS in its wheel treats an unknown processor as
a very old one and is then several times slower, so it is told which instructions this processor has, unless
OPENBLAS_CORETYPE is set.

A hybrid run at the published budget: three epochs on 6,000 images of MNIST, a memory at the last hidden layer, 3,000
test images with and without it, and the diagnosis; for comparison, the same network without a memory. Images are read
from MEMKIT_DATA; if they are missing, random images of the same shape are used.

Times are CPU time of one thread, the minimum of the repetitions, which are interleaved.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from cohort import matrix_rate
from simulation import table
from torch import Tensor

from memkit import Recipe
from memkit.memories.neighbours import NeighbourMemory
from memkit.memories.retrieval import nearest
from memkit.models.diagnostics import diagnose
from memkit.models.feedforward import FeedForwardNetwork
from memkit.models.intervened import IntervenedNetwork
from memkit.models.intervened_settings import Intervention
from memkit.tasks.images import datasets
from memkit.tasks.images.classification import CLASSES, Classification, Epochs
from memkit.training import learner
from memkit.training.building import restore
from memkit.training.process import prepare_process
from memkit.training.streams import generator
from memkit.training.trainer import train

WIDTH, K = 128, 8
SIZES = (
    *((500, 32), (500, 597), (2000, 32), (2000, 128), (2000, 3000), (6000, 128), (6000, 3000)),
    *((18000, 32), (18000, 128), (18000, 3000), (20000, 1000), (50000, 1000), (100000, 1000)),
)
"""Numbers of entries and queries."""
COHORT = 8
PUBLISHED = {"hybrid": 74, "nn": 8}
"""CPU seconds per seed with the toolkit of the publication, measured on another machine."""
TASK = Classification("mnist-10k", 6000, 1000, 3000)
PARTS = (
    ("drawing batches", Epochs, "__call__"),
    ("forward", FeedForwardNetwork, "forward"),
    ("forward", IntervenedNetwork, "forward"),
    ("backward", torch.Tensor, "backward"),
    ("optimiser", learner, "adam"),
    ("retrieval", NeighbourMemory, "retrieve"),
    ("targets", IntervenedNetwork, "targets"),
    ("insertion and eviction", NeighbourMemory, "insert"),
)
"""The parts that are timed: label, owner and attribute. The time of a nested part counts for that part only."""


@functools.cache
def random_images(name: str) -> datasets.Images:
    """Return a stand-in of the same shape for a missing data set: a random image per class, with noise."""
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (datasets.size(name),), generator=random)
    of_class, noise = (torch.rand(n, *datasets.shape(name), generator=random) for n in (CLASSES, len(labels)))
    return datasets.Images((of_class[labels] + 3 * noise) / 4, labels)


# --- measuring ----------------------------------------------------------------------------------------------


def interleaved(repetitions: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Return the values of each measure over the repetitions, whose order alternates."""
    values: list[list[float]] = [[] for _ in measures]
    for number in range(repetitions):
        order = range(len(measures)) if number % 2 else reversed(range(len(measures)))
        for i in order:
            values[i].append(measures[i]())
    return values


def seconds(calls: int, function: Callable[[], Any]) -> float:
    """Return the CPU seconds per call, after a first call that is left out, since it finds a cold cache."""
    function()
    began = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - began) / calls


# --- retrieval ----------------------------------------------------------------------------------------------


def flat_index() -> Any:
    """Return faiss, set to one thread and this processor's instructions; None if it is not installed."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    core = "SkylakeX" if " avx512f" in flags else "Haswell" if " avx2" in flags else None
    if core:
        os.environ.setdefault("OPENBLAS_CORETYPE", core)
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(1)
    return faiss


def count_others(queries: Tensor, keys: Tensor, ours: Tensor, theirs: Tensor) -> int:
    """Return how many of faiss's neighbours ``theirs`` [B, k] are not among memkit's, ``ours``.

    Raises:
        SystemExit: the distances differ by more than rounding.
    """
    q, x = queries.double().unsqueeze(1), keys.double()
    distances = [(x[indices] - q).norm(dim=-1).sort(-1).values for indices in (ours, theirs)]
    error = float(((distances[0] - distances[1]) / distances[1]).abs().max())
    if error > 1e-5:
        raise SystemExit(f"the distances of memkit and faiss differ by {error:.1e}, which is more than rounding")
    return int((theirs.unsqueeze(2) != ours.unsqueeze(1)).all(2).sum())


def compare(faiss: Any, entries: int, count: int, repetitions: int) -> list[str]:
    """Return a row of the table of retrieval."""
    random = torch.Generator().manual_seed(entries + count)
    keys = torch.randn(COHORT if count <= 128 else 1, entries, WIDTH, generator=random)
    queries = torch.randn(len(keys), count, WIDTH, generator=random)
    calls = max(1, int(1e7 / (entries * count)))
    q, x = queries[:1], keys[:1]
    measures = [partial(seconds, calls, partial(nearest, q, x, K))]
    if len(keys) > 1:
        measures.append(partial(seconds, max(1, calls // 4), partial(nearest, queries, keys, K)))
    if faiss is not None:
        index = faiss.IndexFlatL2(WIDTH)
        index.add(x[0].numpy())
        default_threshold = faiss.cvar.distance_compute_blas_threshold

        def search(threshold: int) -> Any:
            faiss.cvar.distance_compute_blas_threshold = threshold
            result = index.search(q[0].numpy(), K)
            faiss.cvar.distance_compute_blas_threshold = default_threshold
            return result

        measures += [partial(seconds, calls, partial(search, threshold)) for threshold in (default_threshold, 1)]
    inverse_rate, *times = interleaved(repetitions, lambda: 1 / matrix_rate(), *measures)
    ours = min(times[0])
    share = 2 * entries * count * WIDTH * min(inverse_rate) / ours
    in_cohort = f"{1e6 * min(times[1]) / queries[..., 0].numel():.1f}" if len(keys) > 1 else ""
    row = [f"{entries} x {count}", f"{1e6 * ours / count:.1f}", in_cohort, f"{100 * share:.0f} %"]
    if faiss is None:
        return row
    for theirs in times[-2:]:
        ratio = statistics.median(a / b for a, b in zip(times[0], theirs, strict=True))
        row += [f"{1e6 * min(theirs) / count:.1f}", f"{ours / min(theirs):.2f}", f"{ratio:.2f}"]
    their_neighbours = torch.from_numpy(search(default_threshold)[1])
    return [*row, str(count_others(q[0], x[0], nearest(q, x, K).indices[0], their_neighbours))]


def retrieval(repetitions: int, sizes: Sequence[tuple[int, int]]) -> str:
    """Return the table of retrieval."""
    faiss = flat_index()
    header = ["µs of CPU per query", "memkit", f"{COHORT} seeds", "of matrix rate"]
    if faiss is not None:
        header += ["faiss", "ratio", "median", "by products", "ratio", "median", "others"]
    rows = [compare(faiss, *size, repetitions) for size in sizes]
    note = "" if faiss is not None else "faiss is not installed; to compare with it: pip install faiss-cpu\n\n"
    return note + table(header, rows)


# --- the hybrid run -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A network, and the key of its published time."""

    name: str
    recipe: Recipe
    published: str


def cases(steps: int) -> list[Case]:
    """Return the network alone, with a memory that evicts, and with one that keeps everything, as published."""
    shared: dict[str, Any] = {"steps": steps, "batch": 128, "lr": 1e-3}
    plain = Recipe(TASK, FeedForwardNetwork, options={"widths": (256, 128)}, **shared)
    networks = [Case("nn", plain, "nn")]
    for capacity in (2000, 18000):
        intervention = Intervention(step_size=50.0, capacity=capacity).to_json()
        options = {"widths": (256, 128), "intervention": intervention}
        recipe = Recipe(TASK, IntervenedNetwork, options=options, **shared)
        networks.append(Case(f"hybrid, {capacity}", recipe, "hybrid"))
    return networks


def training(recipe: Recipe, seeds: int) -> float:
    """Return the CPU seconds of training per seed."""
    began = time.process_time()
    train(recipe, range(seeds))
    return (time.process_time() - began) / seeds


def evaluation(recipe: Recipe) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return two functions of a trained network: one classifies the test images, one diagnoses its memory on them."""
    (run,) = train(recipe, [0])
    model, test = restore(recipe, 0, run.state), recipe.task.split(generator(0, "split")).test

    def classify() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(test[0].unsqueeze(0))
        return logits

    return classify, partial(diagnose, model, test) if isinstance(model, IntervenedNetwork) else lambda: None


@contextmanager
def timed() -> Iterator[Counter[str]]:
    """Yield a counter of the CPU seconds that each part takes within the context."""
    spent: Counter[str] = Counter()
    nested: list[float] = []

    def with_timer(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            began = time.process_time()
            nested.append(0.0)
            try:
                return call(*args, **options)
            finally:
                elapsed = time.process_time() - began
                spent[part] += elapsed - nested.pop()
                if nested:
                    nested[-1] += elapsed

        return measured

    with ExitStack() as patches:
        for part, owner, name in PARTS:
            patches.enter_context(patch.object(owner, name, with_timer(part, getattr(owner, name))))
        yield spent


def where_time_goes(case: Case, repetitions: int) -> str:
    """Return the milliseconds per seed and part in a cohort, in the fastest repetition."""
    runs = []
    for _ in range(repetitions):
        with timed() as spent:
            total = COHORT * training(case.recipe, COHORT)
        runs.append((total, spent))
    total, spent = min(runs, key=lambda run: run[0])
    spent["the rest"] = total - sum(spent.values())
    return f"{case.name}: " + ", ".join(f"{part} {1e3 * used / COHORT:.0f}" for part, used in spent.most_common())


def hybrid(repetitions: int, steps: int) -> str:
    """Return the table of training and evaluation, and where the time of training goes."""
    all_cases = cases(steps)
    measures: list[Callable[[], float]] = []
    for case in all_cases:
        measures += [partial(training, case.recipe, seeds) for seeds in (COHORT, 1)]
        measures += [partial(seconds, 1, function) for function in evaluation(case.recipe)]
    minima = [min(times) for times in interleaved(repetitions, *measures)]
    rows = []
    for i, case in enumerate(all_cases):
        in_cohort, alone, *evaluations = minima[4 * i : 4 * i + 4]
        totals = [in_cohort + sum(evaluations), alone + sum(evaluations)]
        published = PUBLISHED[case.published]
        cells = [f"{time:.2f}" for time in (in_cohort, alone, *evaluations, *totals)]
        rows.append([case.name, *cells, str(published), *(f"{published / time:.0f}" for time in totals)])
    header = ["s of CPU per seed", f"{COHORT} seeds", "1 seed", "test", "diagnosis", f"total, {COHORT}", "total, 1"]
    header += ["published", f"ratio, {COHORT}", "ratio, 1"]
    parts = "\n".join(where_time_goes(case, max(1, repetitions // 2)) for case in all_cases)
    return f"{table(header, rows)}\n\nwhere the time goes in a cohort of {COHORT}, ms of CPU per seed\n{parts}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7, help="repetitions per measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="small sizes and a few steps once, to check that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, sizes, steps = (1, SIZES[:4], 3) if options.smoke else (options.repetitions, SIZES, 141)
    prepare_process()
    for _ in range(20):  # warm up: the core may have been idle
        matrix_rate()
    rate = max(matrix_rate() for _ in range(5 * repetitions))
    print(f"minimum of {repetitions} repetitions; {rate / 1e9:.0f} GFLOP/s in float32 matrix products on one core\n")
    print(f"the {K} nearest of entries of {WIDTH} numbers: entries x queries")
    print(retrieval(repetitions, sizes), end="\n\n")
    print(f"an MLP of widths 256 and 128, {steps} steps of 128 images")
    with ExitStack() as patches:
        if TASK.missing:
            print(f"{TASK.missing}; random images of the same shape are used instead\n")
            patches.enter_context(patch.object(datasets, "load", random_images))
        print(hybrid(repetitions, steps))


if __name__ == "__main__":
    main()
