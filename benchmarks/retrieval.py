"""Exact retrieval against faiss's flat index, and what a network with a neighbour memory costs to train.

    python benchmarks/retrieval.py [--repetitions 7] [--smoke]

Retrieval: the 8 nearest of random keys of 128 numbers, by memkit's ``nearest`` and by ``IndexFlatL2`` of faiss
(``pip install faiss-cpu``; without it memkit's own times are shown), which find the same neighbours or the benchmark
fails. faiss compares one by one or by matrix products, as the number of queries says; it is measured as it chooses, and
with products always. Its wheel brings an OpenBLAS that takes a processor it does not know for the oldest one, and is
then several times slower than it can be: it is told to use what this one has, unless OPENBLAS_CORETYPE is set.

A hybrid run, at the published budget: three epochs on 6,000 images of MNIST, a memory at the last hidden layer, 3,000
test images with and without it, and the diagnosis; beside it the same network without a memory. Images are read from
MEMKIT_DATA; where they are missing, random ones of the same shape take their place.

Times are CPU time of one thread. What is compared takes turns, and every number is the least of the repetitions.
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
"""Entries and queries."""
COHORT = 8
PUBLISHED = {"hybrid": 74, "nn": 8}
"""CPU seconds per seed in the toolkit of the publication, measured elsewhere."""
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
"""What is timed by itself, and where it is; parts within a part count for themselves."""


@functools.cache
def random_images(name: str) -> datasets.Images:
    """Return a stand-in for a missing data set, of the same shape: a random image for each class, and noise on it."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (datasets.size(name),), generator=drawn)
    of_class, noise = (torch.rand(n, *datasets.shape(name), generator=drawn) for n in (CLASSES, len(labels)))
    return datasets.Images((of_class[labels] + 3 * noise) / 4, labels)


# --- measuring ----------------------------------------------------------------------------------------------


def in_turns(repetitions: int, *measures: Callable[[], float]) -> list[list[float]]:
    """The repetitions of each measure, taken in turns, forwards and backwards."""
    found: list[list[float]] = [[] for _ in measures]
    for number in range(repetitions):
        order = range(len(measures)) if number % 2 else reversed(range(len(measures)))
        for i in order:
            found[i].append(measures[i]())
    return found


def seconds(calls: int, what: Callable[[], Any]) -> float:
    """CPU seconds a call, after one that is left out: what ran before may have taken the cache."""
    what()
    began = time.process_time()
    for _ in range(calls):
        what()
    return (time.process_time() - began) / calls


# --- retrieval ----------------------------------------------------------------------------------------------


def flat_index() -> Any:
    """faiss, with one thread and what this processor has; None, where it is not installed."""
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


def others(queries: Tensor, keys: Tensor, ours: Tensor, theirs: Tensor) -> int:
    """Count the neighbours, [B, k], that they found and we did not.

    Raises:
        SystemExit: some of them are not as near as ours, by more than rounding.
    """
    q, x = queries.double().unsqueeze(1), keys.double()
    apart = [(x[indices] - q).norm(dim=-1).sort(-1).values for indices in (ours, theirs)]
    if float(off := ((apart[0] - apart[1]) / apart[1]).abs().max()) > 1e-5:
        raise SystemExit(f"memkit and faiss differ by more than rounding: by {off:.1e} of a distance")
    return int((theirs.unsqueeze(2) != ours.unsqueeze(1)).all(2).sum())


def compare(faiss: Any, entries: int, count: int, repetitions: int) -> list[str]:
    """A row of the table of retrieval."""
    drawn = torch.Generator().manual_seed(entries + count)
    keys = torch.randn(COHORT if count <= 128 else 1, entries, WIDTH, generator=drawn)
    queries = torch.randn(len(keys), count, WIDTH, generator=drawn)
    calls = max(1, int(1e7 / (entries * count)))
    q, x = queries[:1], keys[:1]
    measures = [partial(seconds, calls, partial(nearest, q, x, K))]
    if len(keys) > 1:
        measures.append(partial(seconds, max(1, calls // 4), partial(nearest, queries, keys, K)))
    if faiss is not None:
        index = faiss.IndexFlatL2(WIDTH)
        index.add(x[0].numpy())
        chosen = faiss.cvar.distance_compute_blas_threshold

        def search(threshold: int) -> Any:
            faiss.cvar.distance_compute_blas_threshold = threshold
            found = index.search(q[0].numpy(), K)
            faiss.cvar.distance_compute_blas_threshold = chosen
            return found

        measures += [partial(seconds, calls, partial(search, threshold)) for threshold in (chosen, 1)]
    rate, *times = in_turns(repetitions, lambda: 1 / matrix_rate(), *measures)
    ours = min(times[0])
    share = 2 * entries * count * WIDTH * min(rate) / ours
    together = f"{1e6 * min(times[1]) / queries[..., 0].numel():.1f}" if len(keys) > 1 else ""
    row = [f"{entries} x {count}", f"{1e6 * ours / count:.1f}", together, f"{100 * share:.0f} %"]
    if faiss is None:
        return row
    for theirs in times[-2:]:
        ratio = statistics.median(a / b for a, b in zip(times[0], theirs, strict=True))
        row += [f"{1e6 * min(theirs) / count:.1f}", f"{ours / min(theirs):.2f}", f"{ratio:.2f}"]
    found = torch.from_numpy(search(chosen)[1])
    return [*row, str(others(q[0], x[0], nearest(q, x, K).indices[0], found))]


def retrieval(repetitions: int, sizes: Sequence[tuple[int, int]]) -> str:
    """The table of retrieval."""
    faiss = flat_index()
    head = ["µs of CPU per query", "memkit", f"{COHORT} seeds", "of matrix rate"]
    if faiss is not None:
        head += ["faiss", "ratio", "median", "by products", "ratio", "median", "others"]
    rows = [compare(faiss, *size, repetitions) for size in sizes]
    note = "" if faiss is not None else "faiss is not installed; to compare with it: pip install faiss-cpu\n\n"
    return note + table(head, rows)


# --- the hybrid run -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A network, and the name of its published time."""

    name: str
    recipe: Recipe
    published: str


def cases(steps: int) -> list[Case]:
    """The network alone, with a memory that evicts, and with one that holds everything, as the published one did."""
    shared: dict[str, Any] = {"steps": steps, "batch": 128, "lr": 1e-3}
    plain = Recipe(TASK, FeedForwardNetwork, options={"widths": (256, 128)}, **shared)
    found = [Case("nn", plain, "nn")]
    for capacity in (2000, 18000):
        intervention = Intervention(step_size=50.0, capacity=capacity).to_json()
        options = {"widths": (256, 128), "intervention": intervention}
        found.append(Case(f"hybrid, {capacity}", Recipe(TASK, IntervenedNetwork, options=options, **shared), "hybrid"))
    return found


def training(recipe: Recipe, seeds: int) -> float:
    """Return the CPU seconds per seed."""
    began = time.process_time()
    train(recipe, range(seeds))
    return (time.process_time() - began) / seeds


def evaluation(recipe: Recipe) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what classifies the test images by a trained network, and what diagnoses its memory on them."""
    (run,) = train(recipe, [0])
    model, test = restore(recipe, 0, run.state), recipe.task.split(generator(0, "split")).test

    def classify() -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(test[0].unsqueeze(0))
        return logits

    return classify, partial(diagnose, model, test) if isinstance(model, IntervenedNetwork) else lambda: None


@contextmanager
def timed() -> Iterator[Counter[str]]:
    """CPU seconds by part, while it lasts."""
    spent: Counter[str] = Counter()
    within: list[float] = []

    def timing(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def measured(*args: Any, **options: Any) -> Any:
            began = time.process_time()
            within.append(0.0)
            try:
                return call(*args, **options)
            finally:
                took = time.process_time() - began
                spent[part] += took - within.pop()
                if within:
                    within[-1] += took

        return measured

    with ExitStack() as patches:
        for part, owner, name in PARTS:
            patches.enter_context(patch.object(owner, name, timing(part, getattr(owner, name))))
        yield spent


def where_time_goes(case: Case, repetitions: int) -> str:
    """Return the milliseconds per seed by part, in a cohort, in the quickest of the repetitions."""
    runs = []
    for _ in range(repetitions):
        with timed() as spent:
            whole = COHORT * training(case.recipe, COHORT)
        runs.append((whole, spent))
    whole, spent = min(runs, key=lambda run: run[0])
    spent["the rest"] = whole - sum(spent.values())
    return f"{case.name}: " + ", ".join(f"{part} {1e3 * took / COHORT:.0f}" for part, took in spent.most_common())


def hybrid(repetitions: int, steps: int) -> str:
    """The table of the runs, and where their time goes."""
    every = cases(steps)
    measures: list[Callable[[], float]] = []
    for case in every:
        measures += [partial(training, case.recipe, seeds) for seeds in (COHORT, 1)]
        measures += [partial(seconds, 1, what) for what in evaluation(case.recipe)]
    took = [min(times) for times in in_turns(repetitions, *measures)]
    rows = []
    for i, case in enumerate(every):
        together, alone, *looks = took[4 * i : 4 * i + 4]
        whole = [together + sum(looks), alone + sum(looks)]
        published = PUBLISHED[case.published]
        cells = [f"{time:.2f}" for time in (together, alone, *looks, *whole)]
        rows.append([case.name, *cells, str(published), *(f"{published / time:.0f}" for time in whole)])
    head = ["s of CPU per seed", f"{COHORT} seeds", "1 seed", "test", "diagnosis", f"whole, {COHORT}", "whole, 1"]
    head += ["published", f"ratio, {COHORT}", "ratio, 1"]
    parts = "\n".join(where_time_goes(case, max(1, repetitions // 2)) for case in every)
    return f"{table(head, rows)}\n\nwhere the time goes in a cohort of {COHORT}, ms of CPU per seed\n{parts}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7, help="of every measurement (default: %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="small sizes and a few steps once, to see that it runs")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    repetitions, sizes, steps = (1, SIZES[:4], 3) if options.smoke else (options.repetitions, SIZES, 141)
    prepare_process()
    for _ in range(20):  # a core that was asleep
        matrix_rate()
    rate = max(matrix_rate() for _ in range(5 * repetitions))
    print(f"least of {repetitions} repetitions; {rate / 1e9:.0f} GFLOP/s in float32 matrix products on one core\n")
    print(f"the {K} nearest of entries of {WIDTH} numbers: entries x queries")
    print(retrieval(repetitions, sizes), end="\n\n")
    print(f"an MLP of widths 256 and 128, {steps} steps of 128 images")
    with ExitStack() as patches:
        if TASK.missing:
            print(f"{TASK.missing}; now on random images of the same shape\n")
            patches.enter_context(patch.object(datasets, "load", random_images))
        print(hybrid(repetitions, steps))


if __name__ == "__main__":
    main()
