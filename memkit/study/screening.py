"""Stage A: every configuration is trained on development seeds, and scored on validation examples alone.

Test examples are never asked for here, so that nothing is confirmed on the examples that it was chosen by.
"""

from __future__ import annotations

import inspect
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from memkit.errors import MemkitError, nearest, told
from memkit.scheduling.cohorts import Cohort, Training, obtain, plan, restored
from memkit.scheduling.estimates import seconds_per_seed
from memkit.scheduling.executor import Executor, Result
from memkit.scheduling.queue import Progress, TrainingQueue
from memkit.source import callable_digest, source_digest, source_files
from memkit.store.dependencies import noting
from memkit.store.measurements import (
    forget_measurement,
    load_measurement,
    measurement_key,
    save_measurement,
)
from memkit.store.store import Store
from memkit.store.verified_files import number
from memkit.study.matrix import Configuration, Matrix
from memkit.study.promotion import Entrant, Policy, Promotion, promote
from memkit.study.subjects import Subject
from memkit.training.protocols import Task
from memkit.training.scoring import Scoring
from memkit.versions import versions_behind

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

_QUIET = 10.0  # seconds between two lines of progress

Scores = dict[str, dict[int, dict[str, float]]]
"""Configuration → development seed → metric → value."""


def check_data(matrix: Matrix) -> None:
    """See that the data of every recipe are here.

    Raises:
        MemkitError: they are not; the sentence says how to get them.
    """
    for name in matrix.configurations:
        for where, subject in _subjects(matrix, name):
            if missing := subject.recipe.missing:
                raise MemkitError(f"{matrix.path.name}: {where}: {missing}")


def check_models(matrix: Matrix) -> None:
    """See that every recipe makes a model, before any of them is trained for an hour.

    Raises:
        MemkitError: one does not.
    """
    from memkit.training.building import build

    made: set[str] = set()
    for name in matrix.configurations:
        for where, subject in _subjects(matrix, name):
            if subject.recipe.digest in made:
                continue
            made.add(subject.recipe.digest)
            try:
                build(subject.recipe, [0])
            except Exception as error:
                said = str(error) if isinstance(error, MemkitError) else f"{type(error).__name__}: {error}"
                raise MemkitError(f"{matrix.path.name}: {where}: its model cannot be made: {said}") from error


def check_score(matrix: Matrix) -> None:
    """See that the score gives what both stages go by, on an untrained model, before any is trained for an hour.

    A score that cannot deal with an untrained model is passed over. Whether there are test examples is seen without
    looking at them.

    Raises:
        MemkitError: a metric is not among what the score gives, or there are no validation or test examples.
    """
    from memkit.training.building import build, sampler
    from memkit.training.scoring import examples_of, on_device_of

    name, configuration = next(iter(matrix.configurations.items()))
    recipe, where = configuration.recipe, f"{matrix.path.name}: {name}"
    try:
        examples = examples_of(recipe, 0, "validation", matrix.examples)
    except MemkitError as error:
        raise MemkitError(f"{where}: {error}") from None
    if isinstance(recipe.task, Task) and inspect.getattr_static(sampler(recipe, 0), "test", None) is None:
        kind = type(recipe.task).__name__
        raise MemkitError(
            f"{where}: what draws the examples of {kind} has no `test`; let {kind}.for_seed() return an object that "
            "has it, (inputs, targets), beside its __call__"
        )
    model = build(recipe, [0]).eval()
    try:
        with torch.no_grad():
            returned = matrix.score(model, on_device_of(model, examples))
    except MemkitError as error:
        raise MemkitError(f"{where}: {error}") from None
    except Exception:
        return
    by, metric = matrix.screen.by, matrix.confirm.metric
    if not isinstance(returned, Mapping):
        if by != metric:
            raise MemkitError(
                f"{matrix.path.name}: the score gives one number, which cannot be both {by!r}, as screen says, and "
                f"{metric!r}, as confirm says; let it return {{metric: number}}"
            )
        return
    for place, wanted in (("screen: by", by), ("confirm: metric", metric)):
        if wanted not in returned:
            known = [str(metric) for metric in returned]
            raise MemkitError(f"{matrix.path.name}: {place}: the score has no {wanted!r}{nearest(wanted, known)}")


def check_arms(matrix: Matrix, names: Iterable[str], *, device: str) -> None:
    """See that what promoted configurations are held against can be trained and scored, before any seed is spent on it.

    Each control that is a changed configuration trains one step on development seed 0, and is scored on validation
    examples.

    Raises:
        MemkitError: one cannot; the sentence names it.
    """
    from memkit.recipes.backends import restore, train
    from memkit.training.process import prepared_process

    scoring = Scoring(score=matrix.score, metric=matrix.confirm.metric, examples=matrix.examples)
    for name in names:
        for control in matrix.configurations[name].controls:
            if isinstance(matrix.controls[control], str):
                continue  # it was screened
            where, subject = f"{matrix.path.name}: {name} with the control {control}", matrix.control(control, name)
            short = subject.recipe.with_(steps=1)
            try:
                with prepared_process():
                    (run,) = train(short, [0], device=device)
                    model = intervened(subject, restore(short, 0, run.state, device=device), 0, where)
                    scoring.of(model, short, 0, "validation")
            except Exception as error:
                if not isinstance(error, MemkitError):
                    print(traceback.format_exc(), file=sys.stderr)
                said = str(error) if isinstance(error, MemkitError) else f"{type(error).__name__}: {error}"
                raise MemkitError(said if said.startswith(where) else f"{where}: {said}") from error


def check_bounds(matrix: Matrix, scores: Scores) -> None:
    """See that what was screened lies in the bounds of what is confirmed.

    Raises:
        MemkitError: a score does not.
    """
    bounds, metric = matrix.confirm.bounds, matrix.confirm.metric
    if bounds is None:
        return
    for name, rows in scores.items():
        for seed, row in rows.items():
            value = row.get(metric, math.nan)
            if math.isfinite(value) and not bounds[0] <= value <= bounds[1]:
                raise MemkitError(
                    f"{matrix.path.name}: {name}, seed {seed}: the {metric} is {value:g}, outside confirm: bounds "
                    f"[{bounds[0]:g}, {bounds[1]:g}]"
                )


def _subjects(matrix: Matrix, name: str) -> list[tuple[str, Subject]]:
    """Return a configuration, and what its controls make of it where it may be promoted."""
    found: list[tuple[str, Subject]] = [(f"configurations: {name}", matrix.configurations[name])]
    if name in matrix.candidates or name in matrix.screen.always:
        changed = [c for c in matrix.configurations[name].controls if not isinstance(matrix.controls[c], str)]
        found += [(f"controls: {control}: for {name}", matrix.control(control, name)) for control in changed]
    return found


def development_seeds(matrix: Matrix) -> tuple[int, ...]:
    """Return the seeds of stage A: 0, 1, …"""
    return tuple(range(matrix.screen.seeds))


def lacking(matrix: Matrix, store: Store) -> list[Cohort]:
    """Return the cohorts to train for stage A: each recipe once, with all its seeds that the store lacks."""
    seeds = development_seeds(matrix)
    return plan([(Training.of(c.recipe), seeds) for c in matrix.configurations.values()], store)


def train_lacking(
    matrix: Matrix, store: Store, *, executor: Executor, say: Callable[[str], None]
) -> list[tuple[Cohort, Result]]:
    """Train what the store lacks.

    Args:
        executor: what trains; it is closed afterwards.
        say: is told now and then how far it is.

    Returns:
        The cohorts that failed, with their results.
    """
    cohorts = lacking(matrix, store)
    if not cohorts:
        say("stage A: nothing to train")
        return []
    failed: list[tuple[Cohort, Result]] = []

    def ended(cohort: Cohort, result: Result) -> None:
        if result.kind != "trained":
            failed.append((cohort, result))

    seconds = seconds_per_seed([cohort.training for cohort in cohorts], store, store.root / "none")
    try:
        queue = TrainingQueue(executor, store, seconds=seconds, ended=ended)
        queue.add(cohorts)
        count = sum(len(cohort.seeds) for cohort in cohorts)
        say(f"stage A: {count} {'run' if count == 1 else 'runs'} to train")
        queue.run(_Told(say))
    finally:
        executor.close()
    return failed


class _Told:
    """Says how far training is, now and then, and at the end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.at = time.monotonic()
        self.done = 0

    def __call__(self, progress: Progress) -> None:
        from memkit.evidence.reports.words import duration

        finished = progress.done == progress.total and progress.done != self.done
        if not finished and time.monotonic() - self.at < _QUIET:
            return
        self.at, self.done = time.monotonic(), progress.done
        left = "" if not progress.remaining else f", about {duration(progress.remaining)} left"
        self.say(f"stage A: {progress.done} of {progress.total} runs trained{left}")


def screen(matrix: Matrix, store: Store, *, device: str) -> Scores:
    """Score every configuration on the validation examples of the development seeds; from the store where it can.

    Raises:
        MemkitError: a score cannot be computed; the sentence names the configuration.
    """
    scoring = Scoring(score=matrix.score, metric=matrix.screen.by, examples=matrix.examples)
    found: Scores = {}
    for name, configuration in matrix.configurations.items():
        key = subject_key(configuration, matrix, device=device, part="validation")
        found[name] = {}
        for seed in development_seeds(matrix):
            where = f"{matrix.path.name}: {name}"
            stored = load_measurement(store, key, seed)
            scores = kept_scores(stored, f"{where}, seed {seed}")
            if scores is None:
                if stored is not None:  # the first measurement counts, but of a form that can be read
                    forget_measurement(store, key, seed)
                with noting(store.files, ("screening", key), _modules(configuration, matrix)) as depends:
                    scores = _scored(configuration, scoring, seed, store, device=device, where=where)
                    recipe = store.depends(configuration.recipe.digest, seed)
                    save_measurement(store, key, seed, scores, depends={**recipe, **depends()})
            found[name][seed] = {metric: float(value) for metric, value in scores.items()}
    return found


def kept_scores(stored: Any, where: str) -> Mapping[str, float] | None:
    """Return the scores that the store has; None, with a warning, where it has something else."""
    if stored is None:
        return None
    try:
        return {metric: number(value) for metric, value in stored.items()}
    except (AttributeError, ValueError) as error:
        told(f"{where}: what is stored has another form ({error}); it is scored again")
        return None


def _scored(
    configuration: Configuration, scoring: Scoring, seed: int, store: Store, *, device: str, where: str
) -> Mapping[str, float]:
    with seen(configuration, seed, store, device=device, where=where) as (model, run):
        try:
            values = scoring.of(model, configuration.recipe, seed, "validation")
        except MemkitError as error:
            raise MemkitError(f"{where}, seed {seed}: {error}") from error
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr)
            raise MemkitError(f"{where}, seed {seed}: the score raised {type(error).__name__}: {error}") from error
        # What is left of a run that diverged has no score, whatever can be computed of it.
        return dict.fromkeys(values, math.nan) if run.diverged else values


@contextmanager
def seen(subject: Subject, seed: int, store: Store, *, device: str, where: str) -> Iterator[tuple[Any, TrainedRun]]:
    """Yield a subject's trained model of a seed with its intervention, as tests see it, and its trained run."""
    from memkit.training.process import prepared_process

    recipe = subject.recipe
    run = obtain(recipe, recipe.digest, seed, store, device=device)
    with prepared_process():
        run, model = restored(run, recipe, recipe.digest, store, device=device)
        yield intervened(subject, model, seed, where), run


def intervened(subject: Subject, model: Any, seed: int, where: str) -> Any:
    """Return a trained model as tests see it.

    Raises:
        MemkitError: its intervention returns no model.
    """
    made = subject.arm.intervened(model, seed)
    after = subject.settings.get("after")
    if made is None:
        raise MemkitError(f"{where}: the intervention returned None; return the model")
    if inspect.isroutine(made):
        raise MemkitError(
            f"{where}: the intervention returned a function and no model; if {after} is a factory, write "
            f"after: {{call: {after!r}}}"
        )
    return made


def subject_key(subject: Subject, matrix: Matrix, *, device: str, part: str) -> str:
    """Return the key under which the store keeps what was measured of a subject's models."""
    functions, modules = _functions(subject, matrix), _modules(subject, matrix)
    return measurement_key(
        {
            "study": part,
            "recipe": subject.recipe.digest,
            "after": subject.settings.get("after"),
            "score": matrix.score_reference,
            "metric": matrix.screen.by,
            "examples": matrix.examples,
            "source": source_digest(modules) + "".join(map(callable_digest, functions)),
            "device": device,
            "versions": versions_behind(source_files({*modules, *subject.recipe.modules})),
        }
    )


def _functions(subject: Subject, matrix: Matrix) -> list[Callable[..., Any]]:
    return [matrix.score, *([subject.after] if subject.after is not None else [])]


def _modules(subject: Subject, matrix: Matrix) -> list[str]:
    """Return the modules that a subject is scored by."""
    functions = _functions(subject, matrix)
    return sorted({"memkit.training.scoring", *(inspect.unwrap(function).__module__ for function in functions)})


def policy_of(matrix: Matrix) -> Policy:
    """Return the rule of promotion that the matrix states."""
    s = matrix.screen
    return Policy(by=s.by, higher=s.higher, best=s.best, within=s.within, always=s.always)


def promotion(matrix: Matrix, scores: Scores) -> Promotion:
    """Apply the rule of promotion to the scores.

    Raises:
        MemkitError: nothing is promoted.
    """
    entrants = tuple(
        Entrant(
            name=name,
            family=c.family,
            scores=scores[name],
            competes=name in matrix.candidates,
            reported=matrix.reported.get(name, ""),
        )
        for name, c in matrix.configurations.items()
    )
    policy = policy_of(matrix)
    made = Promotion(
        study=matrix.study,
        matrix=matrix.digest,
        seeds=development_seeds(matrix),
        policy=policy,
        entrants=entrants,
        outcomes=tuple(promote(entrants, policy)),
    )
    if not made.promoted:
        raise MemkitError(f"{matrix.path.name}: no configuration has a finite {policy.by}, so none is promoted")
    return made


def in_store(matrix: Matrix, store: Store) -> dict[str, int]:
    """Return configuration → how many of its development seeds are in the store."""
    seeds: Sequence[int] = development_seeds(matrix)
    missing: Iterable[tuple[str, int]] = (
        (name, len(store.missing(c.recipe.digest, seeds))) for name, c in matrix.configurations.items()
    )
    return {name: len(seeds) - count for name, count in missing}
