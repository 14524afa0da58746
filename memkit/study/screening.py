"""Stage A: every configuration is trained on development seeds and scored on validation examples only.

Test examples are never read here, so that no configuration is confirmed on the examples by which it was chosen.
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

from memkit.errors import MemkitError, suggestion, warn
from memkit.scheduling.cohorts import Cohort, Training, load_or_train, plan_cohorts, restore_or_retrain
from memkit.scheduling.estimates import seconds_per_seed
from memkit.scheduling.executor import Executor, Result
from memkit.scheduling.queue import Progress, TrainingQueue
from memkit.source import callable_digest, source_digest, source_files
from memkit.store.dependencies import recording_opened_files
from memkit.store.measurements import (
    load_measurement,
    measurement_key,
    revoke_measurement,
    save_measurement,
)
from memkit.store.store import Store
from memkit.store.verified_files import parse_number
from memkit.study.matrix import Configuration, Matrix
from memkit.study.promotion import Entrant, Policy, Promotion, promote
from memkit.study.subjects import Subject
from memkit.training.protocols import Task
from memkit.training.scoring import Scoring
from memkit.versions import versions_behind

if TYPE_CHECKING:
    from memkit.training.trained_run import TrainedRun

_PROGRESS_INTERVAL = 10.0  # seconds between two lines of progress

Scores = dict[str, dict[int, dict[str, float]]]
"""Configuration → development seed → metric → value."""


def check_data(matrix: Matrix) -> None:
    """Check that the data of every recipe are available.

    Raises:
        MemkitError: data are missing; the message says how to obtain them.
    """
    for name in matrix.configurations:
        for where, subject in _subjects(matrix, name):
            if missing := subject.recipe.missing:
                raise MemkitError(f"{matrix.path.name}: {where}: {missing}")


def check_models(matrix: Matrix) -> None:
    """Check that the model of every recipe can be built, before any of them is trained.

    Raises:
        MemkitError: a model cannot be built.
    """
    from memkit.training.building import build

    checked: set[str] = set()
    for name in matrix.configurations:
        for where, subject in _subjects(matrix, name):
            if subject.recipe.digest in checked:
                continue
            checked.add(subject.recipe.digest)
            try:
                build(subject.recipe, [0])
            except Exception as error:
                raise MemkitError(
                    f"{matrix.path.name}: {where}: its model cannot be built: {_message(error)}"
                ) from error


def _message(error: Exception) -> str:
    """Return an error's message, with the error's type unless it is one of memkit's."""
    return str(error) if isinstance(error, MemkitError) else f"{type(error).__name__}: {error}"


def check_score(matrix: Matrix) -> None:
    """Check with an untrained model that the score returns the metrics of both stages, before any model is trained.

    The check is skipped if the score raises for an untrained model. Whether there are test examples is checked without
    reading them.

    Raises:
        MemkitError: the score does not return a metric, or there are no validation or test examples.
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
            f"{where}: the sampler of {kind} has no test examples; give the object that {kind}.for_seed() returns an "
            "attribute `test`, a pair (inputs, targets)"
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
                f"{matrix.path.name}: the score returns one number, which cannot be both {by!r} for screen and "
                f"{metric!r} for confirm; let it return {{metric: number}}"
            )
        return
    for place, required in (("screen: by", by), ("confirm: metric", metric)):
        if required not in returned:
            known = [str(metric) for metric in returned]
            raise MemkitError(
                f"{matrix.path.name}: {place}: the score has no {required!r}{suggestion(required, known)}"
            )


def check_arms(matrix: Matrix, names: Iterable[str], *, device: str) -> None:
    """Check that the controls of promoted configurations can be trained and scored, before any deciding seed is used.

    Each control that consists of changes is trained for one step on development seed 0 and scored on validation
    examples.

    Raises:
        MemkitError: a control cannot be trained or scored; the message names it.
    """
    from memkit.recipes.backends import restore, train
    from memkit.training.process import prepared_process

    scoring = Scoring(score=matrix.score, metric=matrix.confirm.metric, examples=matrix.examples)
    for name in names:
        for control in matrix.configurations[name].controls:
            if isinstance(matrix.controls[control], str):
                continue  # a configuration, which was screened
            where, subject = f"{matrix.path.name}: {name} with the control {control}", matrix.control(control, name)
            one_step = subject.recipe.with_(steps=1)
            try:
                with prepared_process():
                    (run,) = train(one_step, [0], device=device)
                    model = apply_intervention(subject, restore(one_step, 0, run.state, device=device), 0, where)
                    scoring.of(model, one_step, 0, "validation")
            except Exception as error:
                if not isinstance(error, MemkitError):
                    print(traceback.format_exc(), file=sys.stderr)
                message = _message(error)
                raise MemkitError(message if message.startswith(where) else f"{where}: {message}") from error


def check_bounds(matrix: Matrix, scores: Scores) -> None:
    """Check that the screening scores lie within the bounds under ``confirm``.

    Raises:
        MemkitError: a score lies outside.
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
    """Return (place in the matrix, subject) for a configuration and, if it may be promoted, its controls by changes."""
    subjects: list[tuple[str, Subject]] = [(f"configurations: {name}", matrix.configurations[name])]
    if name in matrix.candidates or name in matrix.screen.always:
        changed = [c for c in matrix.configurations[name].controls if not isinstance(matrix.controls[c], str)]
        subjects += [(f"controls: {control}: for {name}", matrix.control(control, name)) for control in changed]
    return subjects


def development_seeds(matrix: Matrix) -> tuple[int, ...]:
    """Return the development seeds of stage A: 0, 1, …"""
    return tuple(range(matrix.screen.seeds))


def cohorts_to_train(matrix: Matrix, store: Store) -> list[Cohort]:
    """Return the cohorts to train for stage A: each recipe once, with all its seeds that are not in the store."""
    seeds = development_seeds(matrix)
    return plan_cohorts([(Training.of(c.recipe), seeds) for c in matrix.configurations.values()], store)


def train_missing(
    matrix: Matrix, store: Store, *, executor: Executor, notify: Callable[[str], None]
) -> list[tuple[Cohort, Result]]:
    """Train the runs that are not in the store.

    Args:
        executor: trains them, and is closed afterwards.
        notify: called with a line of text on the progress every few seconds.

    Returns:
        The cohorts that failed, with their results.
    """
    cohorts = cohorts_to_train(matrix, store)
    if not cohorts:
        notify("stage A: nothing to train")
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
        notify(f"stage A: {count} {'run' if count == 1 else 'runs'} to train")
        queue.run(_ProgressReporter(notify))
    finally:
        executor.close()
    return failed


class _ProgressReporter:
    """A callback that reports the progress of training every few seconds and at the end."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.notify = notify
        self.last_time = time.monotonic()
        self.last_done = 0

    def __call__(self, progress: Progress) -> None:
        from memkit.evidence.reports.words import duration

        is_finished = progress.done == progress.total and progress.done != self.last_done
        if not is_finished and time.monotonic() - self.last_time < _PROGRESS_INTERVAL:
            return
        self.last_time, self.last_done = time.monotonic(), progress.done
        remaining = "" if not progress.remaining else f", about {duration(progress.remaining)} left"
        self.notify(f"stage A: {progress.done} of {progress.total} runs trained{remaining}")


def screen(matrix: Matrix, store: Store, *, device: str) -> Scores:
    """Score every configuration on the validation examples of the development seeds, or read the scores from the store.

    Raises:
        MemkitError: a score cannot be computed; the message names the configuration.
    """
    scoring = Scoring(score=matrix.score, metric=matrix.screen.by, examples=matrix.examples)
    all_scores: Scores = {}
    for name, configuration in matrix.configurations.items():
        key = subject_key(configuration, matrix, device=device, part="validation")
        all_scores[name] = {}
        for seed in development_seeds(matrix):
            where = f"{matrix.path.name}: {name}"
            stored = load_measurement(store, key, seed)
            scores = scores_of_measurement(stored, f"{where}, seed {seed}")
            if scores is None:
                if stored is not None:  # the store keeps the first measurement, so an unreadable one is deleted
                    revoke_measurement(store, key, seed)
                with recording_opened_files(
                    store.files, ("screening", key), _modules(configuration, matrix)
                ) as opened_files:
                    scores = _score(configuration, scoring, seed, store, device=device, where=where)
                    recipe_files = store.depends(configuration.recipe.digest, seed)
                    save_measurement(store, key, seed, scores, depends={**recipe_files, **opened_files()})
            all_scores[name][seed] = {metric: float(value) for metric, value in scores.items()}
    return all_scores


def scores_of_measurement(stored: Any, where: str) -> Mapping[str, float] | None:
    """Return the scores in a stored measurement; None if there is none or, with a warning, if it has another form."""
    if stored is None:
        return None
    try:
        return {metric: parse_number(value) for metric, value in stored.items()}
    except (AttributeError, ValueError) as error:
        warn(f"{where}: the stored measurement has another form ({error}); it is scored again")
        return None


def _score(
    configuration: Configuration, scoring: Scoring, seed: int, store: Store, *, device: str, where: str
) -> Mapping[str, float]:
    """Return the scores of one seed; nan where training diverged."""
    with trained_model(configuration, seed, store, device=device, where=where) as (model, run):
        try:
            values = scoring.of(model, configuration.recipe, seed, "validation")
        except MemkitError as error:
            raise MemkitError(f"{where}, seed {seed}: {error}") from error
        except Exception as error:
            print(traceback.format_exc(), file=sys.stderr)
            raise MemkitError(f"{where}, seed {seed}: the score raised {type(error).__name__}: {error}") from error
        # A model whose training diverged has no score, even if one can be computed.
        return dict.fromkeys(values, math.nan) if run.diverged else values


@contextmanager
def trained_model(
    subject: Subject, seed: int, store: Store, *, device: str, where: str
) -> Iterator[tuple[Any, TrainedRun]]:
    """Yield a subject's trained model for a seed, after its intervention, and the trained run."""
    from memkit.training.process import prepared_process

    recipe = subject.recipe
    run = load_or_train(recipe, recipe.digest, seed, store, device=device)
    with prepared_process():
        run, model = restore_or_retrain(run, recipe, recipe.digest, store, device=device)
        yield apply_intervention(subject, model, seed, where), run


def apply_intervention(subject: Subject, model: Any, seed: int, where: str) -> Any:
    """Return a trained model after the subject's intervention.

    Raises:
        MemkitError: the intervention returns something other than a model.
    """
    result = subject.arm.intervened(model, seed)
    after = subject.settings.get("after")
    if result is None:
        raise MemkitError(f"{where}: the intervention returned None; return the model")
    if inspect.isroutine(result):
        raise MemkitError(
            f"{where}: the intervention returned a function instead of a model; if {after} is a factory, write "
            f"after: {{call: {after!r}}}"
        )
    return result


def subject_key(subject: Subject, matrix: Matrix, *, device: str, part: str) -> str:
    """Return the key under which the store keeps the measurements of a subject's models."""
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
    """Return the functions that determine a subject's score: the score itself and the intervention."""
    return [matrix.score, *([subject.intervention] if subject.intervention is not None else [])]


def _modules(subject: Subject, matrix: Matrix) -> list[str]:
    """Return the modules whose code determines a subject's score."""
    functions = _functions(subject, matrix)
    return sorted({"memkit.training.scoring", *(inspect.unwrap(function).__module__ for function in functions)})


def policy_of(matrix: Matrix) -> Policy:
    """Return the promotion rule of the matrix."""
    screen = matrix.screen
    return Policy(by=screen.by, higher=screen.higher, best=screen.best, within=screen.within, always=screen.always)


def make_promotion(matrix: Matrix, scores: Scores) -> Promotion:
    """Return the result of the promotion rule for the scores.

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
    promotion = Promotion(
        study=matrix.study,
        matrix=matrix.digest,
        seeds=development_seeds(matrix),
        policy=policy,
        entrants=entrants,
        outcomes=tuple(promote(entrants, policy)),
    )
    if not promotion.promoted:
        raise MemkitError(f"{matrix.path.name}: no configuration has a finite {policy.by}, so none is promoted")
    return promotion


def seeds_in_store(matrix: Matrix, store: Store) -> dict[str, int]:
    """Return configuration → the number of its development seeds that are in the store."""
    seeds: Sequence[int] = development_seeds(matrix)
    missing: Iterable[tuple[str, int]] = (
        (name, len(store.missing(c.recipe.digest, seeds))) for name, c in matrix.configurations.items()
    )
    return {name: len(seeds) - count for name, count in missing}
