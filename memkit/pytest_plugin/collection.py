"""Collection: makes one item per claim and seed, in the order of the looks, and the plan of a run."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import json
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from memkit.alias_check import check_project_aliases
from memkit.aliases import settings_in_use
from memkit.errors import MemkitError
from memkit.evidence.claim import Claim
from memkit.evidence.claim_decorator import claim_of
from memkit.evidence.derived.copies import copy_marks
from memkit.evidence.derived.sweep import is_sweep
from memkit.paths import locked_root
from memkit.pytest_plugin import fixtures
from memkit.pytest_plugin.absence import AbsentClaim, absent_claims, removed_claims
from memkit.pytest_plugin.compute_platform import compute_platform
from memkit.pytest_plugin.controller import FOUND_CLAIMS, PLAN, REMOVED_ITEMS
from memkit.pytest_plugin.file_watcher import FileWatcher
from memkit.pytest_plugin.fixtures import FIXTURES
from memkit.pytest_plugin.interruption import end_with_parent
from memkit.pytest_plugin.measurement_keeper import MeasurementKeeper
from memkit.pytest_plugin.measurement_keys import code_of, key_of, once
from memkit.pytest_plugin.plan import PlannedClaim, RunPlan
from memkit.pytest_plugin.seeds import lock_of, planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.scheduling.cohorts import Training

_DESELECTED = pytest.StashKey[set[str]]()
_EXCLUDED = pytest.StashKey[dict[str, str]]()
_FUNCTIONS = (types.FunctionType, staticmethod, classmethod, functools.partial)
_FIXTURES = "memkit.pytest_plugin.fixtures"

T = TypeVar("T")


def exclude_from_collection(collector: Any, name: str, function: object) -> list[pytest.Item] | None:
    """Return an empty list for a function that pytest must not collect, and None for any other object.

    These are the functions of sweeps, whose cells are collected instead, and the claims that the options exclude.

    Raises:
        MemkitError: pytest would not collect the claim, which must not disappear silently; the command line names a
            claim that its options exclude; or the claim belongs to another lock than the run.
    """
    if not isinstance(function, _FUNCTIONS):  # a proxy may raise at any attribute, or have every attribute
        return None
    if is_sweep(function):
        return []
    copy_marks(function)
    claim = claim_of(function)
    if claim is None:
        return None
    found_claims = collector.config.stash.setdefault(FOUND_CLAIMS, set())
    _check_lock(collector.config, claim, collector.path.parent)
    if not collector.config.pluginmanager.has_plugin("memkit-fixtures"):
        collector.config.pluginmanager.register(fixtures, "memkit-fixtures")
        if hasattr(collector.config, "workerinput"):
            end_with_parent()
        collector.config.pluginmanager.register(MeasurementKeeper(collector.config), "memkit-measurement-keeper")
        collector.config.pluginmanager.register(FileWatcher(collector.config), "memkit-file-watcher")
    if getattr(function, "__name__", name) != name:
        raise MemkitError(
            f"claim {claim.id!r}: a decorator below it replaces {name}() by {getattr(function, '__name__', '')}(); "
            "apply functools.wraps in that decorator"
        )
    if not collector.funcnamefilter(name):
        raise MemkitError(f"claim {claim.id!r}: pytest collects no function called {name}(); call it test_{name}()")
    if excluded := _excluded(claim, settings_of(collector.config)):
        kind, option = excluded
        if any(_names_function(argument, collector, name) for argument in collector.config.args):
            raise MemkitError(f"claim {claim.id!r} is one of the {kind}; {option}")
        collector.config.stash.setdefault(_EXCLUDED, {})[claim.id] = f"{kind} ({option})"
        found_claims.add(claim.id)
        return []
    return None


def _check_lock(config: pytest.Config, claim: Claim, folder: Path) -> None:
    """Check that a claim does not count as unregistered because the run uses another project's lock.

    Raises:
        MemkitError: the nearest lock above the claim is not that of the run.
    """
    root = Path(settings_of(config).root)
    claim_root = once(config, ("lock above", folder), lambda: locked_root(folder.resolve()))
    if claim_root is not None and claim_root != root:
        raise MemkitError(
            f"claim {claim.id!r} belongs to the lock of {claim_root}, but this run uses that of {root}; run it "
            f"separately: pytest {folder}"
        )


def _names_function(argument: str, collector: Any, name: str) -> bool:
    """Return whether a command-line argument names a function of the file that is being collected."""
    path, *names = re.split(r"::|\[", argument)
    return name in names and (collector.config.invocation_params.dir / path).resolve() == collector.path.resolve()


def _excluded(claim: Claim, settings: Settings) -> tuple[str, str] | None:
    """Return (kind of claims, effect of the option) if the options exclude a claim, else None."""
    if settings.headline and not claim.headline:
        return "claims that are not headlines", "--memkit-headline excludes them"
    if settings.sweeps == "none" and claim.needs_sweeps:
        return "cells of sweeps and replications", "--memkit-sweeps runs them"
    if settings.sweeps == "only" and not (claim.sweep or claim.is_replication):
        return "claims outside sweeps", "--memkit-sweeps excludes them"
    return None


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Parametrise the test of a claim by its planned seeds.

    Raises:
        MemkitError: the test does not depend on the seed, it is parametrised by hand, or a fixture of the project
            overrides one of memkit's.
    """
    claim = claim_of(metafunc.function)
    if claim is None:
        return
    name = metafunc.function.__name__
    if "seed" not in metafunc.fixturenames:
        parameters = ", ".join(f"`{name}`" for name in inspect.signature(metafunc.function).parameters) or "none"
        raise MemkitError(
            f"claim {claim.id!r}: {name}() does not depend on the seed; add the fixture `arms` or `seed` to its "
            f"parameters (they are {parameters})"
        )
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        for parameter in names.split(",") if isinstance(names, str) else names:
            _refuse_parameter(claim, parameter.strip())
    definitions: Mapping[str, Sequence[Any]] = metafunc.definition._fixtureinfo.name2fixturedefs
    for fixture in FIXTURES:
        candidates = definitions.get(fixture, ())
        if candidates and getattr(candidates[-1].func, "__module__", "") != _FIXTURES:
            other = f"{candidates[-1].func.__module__}.{candidates[-1].func.__qualname__}()"
            raise MemkitError(
                f"claim {claim.id!r}: {name}() would get `{fixture}` from {other} and not from memkit; rename that "
                "fixture, or move the claim to a folder where the fixture is not in scope"
            )
    metafunc.parametrize("seed", planned_seeds(metafunc.config, claim), ids=str)
    # Not before this hook, since pytest does not make items of every function.
    metafunc.config.stash.setdefault(FOUND_CLAIMS, set()).add(claim.id)


def _refuse_parameter(claim: Claim, parameter: str) -> None:
    if parameter == "seed":
        raise MemkitError(
            f"claim {claim.id!r} is parametrised by 'seed', which memkit does itself; remove that parametrize(), and "
            "limit the number of seeds with seeds="
        )
    raise MemkitError(f"claim {claim.id!r} is also parametrised by {parameter!r}; write a claim for each value")


def claim_and_seed(item: pytest.Item) -> tuple[Claim, int] | None:
    """Return the claim and the seed of an item, or None for an ordinary test."""
    claim = claim_of(getattr(item, "function", None))
    callspec = getattr(item, "callspec", None)
    return (claim, callspec.params["seed"]) if claim is not None and callspec is not None else None


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the claims, and sort their items by look.

    All claims reach their first look before any claim goes on. Within a look the items are sorted by claim, so that the
    first verdicts come early. Other tests come before the claims, in their original order.

    Raises:
        MemkitError: two claims or two sweeps have the same id, a claim is parametrised by hand or belongs to a
            ``unittest.TestCase``, the options exclude every claim, or the store cannot be written.
    """
    owners: dict[str, str] = {}
    sweeps: dict[str, str] = {}
    others: list[pytest.Item] = []
    claim_items: list[tuple[int, int, pytest.Item]] = []
    for position, item in enumerate(items):
        pair = claim_and_seed(item)
        if pair is None:
            if claim_without_seed := claim_of(getattr(item, "function", None)):
                raise MemkitError(
                    f"claim {claim_without_seed.id!r}: a unittest.TestCase cannot be parametrised; write a function"
                )
            others.append(item)
            continue
        claim, seed = pair
        base = base_nodeid(item.nodeid)
        if owners.setdefault(claim.id, base) != base:
            raise MemkitError(f"two claims have the id {claim.id!r}: {owners[claim.id]} and {base}; rename one of them")
        if claim.sweep and sweeps.setdefault(claim.sweep, base.partition("__")[0]) != base.partition("__")[0]:
            raise MemkitError(f"two sweeps have the id {claim.sweep!r}; rename one of them")
        extra = set(item.callspec.params) - {"seed"}  # type: ignore[attr-defined]
        if extra:
            _refuse_parameter(claim, min(extra))
        claim_items.append((_look_size(config, claim, seed), position, item))
    if not items and (excluded := config.stash.get(_EXCLUDED, {})):
        kind, number = Counter(excluded.values()).most_common(1)[0]
        raise MemkitError(f"no claim is left to run: the options exclude {number}, {kind}")
    if claim_items and not config.option.collectonly:
        settings_of(config).store_of_run.prepare()
    items[:] = others + [item for _, _, item in sorted(claim_items, key=lambda entry: entry[:2])]


def check_training(device: str, claim: str) -> None:
    """Check once, and not for each seed, that models can be trained on this machine.

    Raises:
        MemkitError: torch is not installed, or the device is not available.
    """
    if missing := [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]:
        raise MemkitError(
            f"claim {claim!r} trains models, which needs {missing[0]}; install memkit with its extra [torch], as in "
            "pip install 'path/to/memkit[torch]'"
        )
    if device != "cpu":
        import torch

        available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not available[device]:
            raise MemkitError(
                f"--memkit-device {device} is not available on this machine or in its build of torch; use cpu"
            )


def missing_data(claim: Claim, root: Path) -> str:
    """Return which data or backend of a claim is missing on this machine, and how to get it; "" if nothing is missing.

    Raises:
        MemkitError: a task's ``missing`` is not a string, or the claim declares data that is neither a file nor a
            folder.
    """
    try:
        messages = [arm.recipe.missing for arm in claim.arms.values() if arm.recipe is not None]
    except MemkitError as error:
        raise MemkitError(f"claim {claim.id!r}: {error}") from error
    for name in claim.data:
        path = root / name
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise MemkitError(f"claim {claim.id!r}: data={name!r} is a pipe or a device; name a file or a folder")
        messages += [] if path.exists() else [f"{name} is not below {root}; put it there"]
    return "; ".join(dict.fromkeys(filter(None, messages)))


def file_of(item: pytest.Item, root: Path) -> str:
    """Return the file of a claim in the form of the lock: relative to the root, with slashes; "" outside the root."""
    # The collected path comes first, since it may be a symbolic link to a file outside the project.
    files = (item.path.parent.resolve() / item.path.name, item.path, item.path.resolve())
    return next((file.relative_to(root).as_posix() for file in files if file.is_relative_to(root)), "")


def record_removed_items(config: pytest.Config, before: Iterable[pytest.Item], after: Iterable[pytest.Item]) -> None:
    """Record how many items of each claim a hook removed without reporting them as deselected."""
    deselected: set[str] = config.stash.get(_DESELECTED, set())
    accounted_for = deselected | {item.nodeid for item in after}
    removed = [item for item in before if item.nodeid not in accounted_for]
    claims = (pair[0].id for item in removed if (pair := claim_and_seed(item)) is not None)
    config.stash[REMOVED_ITEMS] = dict(Counter(claims))


def record_deselected_items(items: Iterable[pytest.Item]) -> None:
    """Record items that a hook or a plugin reports as deselected."""
    for item in items:
        item.config.stash.setdefault(_DESELECTED, set()).add(item.nodeid)


def base_nodeid(nodeid: str) -> str:
    """Return a claim's node id without the seed, and without the suffix that ``--dist loadgroup`` adds."""
    return nodeid[: nodeid.rindex("[")]


def _look_size(config: pytest.Config, claim: Claim, seed: int) -> int:
    """Return the number of seeds of the first look that includes a seed; all of the seeds if no look includes it."""
    planned = planned_seeds(config, claim)
    position = planned.index(seed)
    return next((n for n in claim.looks(len(planned)) if n > position), len(planned))


def publish_plan(session: pytest.Session) -> None:
    """Make the plan of the run, and store it where the controller finds it; a worker writes it to a file.

    Raises:
        MemkitError: a claim, the lock or the table of aliases has an error.
    """
    config = session.config
    settings = settings_of(config)
    if settings.refusal_message():  # pytest calls this hook even after a refusal
        return
    for file in settings_in_use({item.path for item in session.items}):
        check_project_aliases(file)
    plan = make_plan(config, session.items)
    if not plan.claims and not plan.absent:
        return
    if hasattr(config, "workerinput"):
        worker = config.workerinput["workerid"]
        file = Path(settings.exchange) / f"plan-{worker}.json"
        file.write_text(json.dumps({**plan.to_json(), "path": sys.path}), encoding="utf-8")
    else:
        config.stash[PLAN] = plan


def make_plan(config: pytest.Config, items: Iterable[pytest.Item]) -> RunPlan:
    """Return the plan of a run: the claims among the items, and the training that their arms need.

    Raises:
        MemkitError: a claim or the lock has an error, or models cannot be trained on this machine.
    """
    settings = settings_of(config)
    lock = lock_of(config)
    first_items: dict[str, tuple[Claim, pytest.Item]] = {}
    selected: dict[str, list[int]] = {}
    looks: list[int] = []
    for item in items:
        pair = claim_and_seed(item)
        if pair is None:
            continue
        claim, seed = pair
        first_items.setdefault(claim.id, (claim, item))
        selected.setdefault(claim.id, []).append(seed)
        looks.append(_look_size(config, claim, seed))
    trainings: dict[str, Training] = {}
    files: dict[str, str] = {}
    claims = []
    for claim, item in first_items.values():
        missing = missing_data(claim, Path(settings.root))
        recipes = [arm.recipe for arm in claim.arms.values() if arm.recipe is not None and not missing]
        for recipe in recipes:
            if recipe.digest not in trainings:
                trainings[recipe.digest] = Training.of(recipe)
                files |= {name: str(getattr(sys.modules.get(name), "__file__", "")) for name in recipe.modules}
        path, line, name = item.location
        code = code_of(item, claim)
        claims.append(
            PlannedClaim(
                claim=claim,
                nodeid=base_nodeid(item.nodeid),
                location=(path, line, base_nodeid(name)),
                registration=lock.registration(
                    claim, development=settings.development, code=code, laboratory=settings.laboratory
                ),
                planned=planned_seeds(config, claim),
                selected=tuple(selected[claim.id]),
                key=key_of(item, claim),
                code=code,
                recipes=tuple(dict.fromkeys(recipe.digest for recipe in recipes)),
                missing=missing,
            )
        )
    claim_with_training = next((p.claim.id for p in claims if p.recipes), None)
    if claim_with_training is not None and not config.option.collectonly:
        check_training(settings.device, claim_with_training)
    ordered = looks == sorted(looks)
    absent: tuple[AbsentClaim, ...] = ()
    if settings.gate != "none" and not settings.development:
        found_claims = config.stash.get(FOUND_CLAIMS, set[str]())
        absent = absent_claims(config, lock, found_claims, strict=settings.strict) + removed_claims(config, lock)
    return RunPlan(
        claims=tuple(claims),
        trainings=trainings,
        files=files,
        ordered=ordered,
        studies=_by_study(first_items.values(), interpretation),
        metrics=_by_study(first_items.values(), definitions),
        excluded=dict(Counter(config.stash.get(_EXCLUDED, {}).values())),
        absent=absent,
        # With workers, this process is one of them: workers measure, and have already imported the packages.
        compute_platform=compute_platform(settings.device, trains=bool(trainings) and not config.option.collectonly),
    )


def _by_study(pairs: Iterable[tuple[Claim, pytest.Item]], read: Callable[[pytest.Item], T]) -> dict[str, T]:
    """Return study → the result of ``read`` for the package of its tests, without empty results.

    If a study has several packages, the one with the study's name takes precedence, then the first.
    """
    results: dict[str, T] = {}
    for claim, item in pairs:
        package = _package(item)
        has_name_of_study = package is not None and package.__name__.rpartition(".")[2] == claim.study
        if (has_name_of_study or claim.study not in results) and (result := read(item)):
            results[claim.study] = result
    return results


def interpretation(item: pytest.Item) -> str:
    """Return the authors' interpretation of an item's study: the docstring of the package of its tests, or ""."""
    package = _package(item)
    return inspect.cleandoc(package.__doc__ or "") if package is not None else ""


def definitions(item: pytest.Item) -> dict[str, str]:
    """Return metric → description, from ``METRICS`` of the package of an item's tests; an empty dict without it.

    Raises:
        MemkitError: ``METRICS`` is not a dict of strings.
    """
    metrics = getattr(_package(item), "METRICS", {})
    if not isinstance(metrics, dict) or not all(isinstance(text, str) for pair in metrics.items() for text in pair):
        raise MemkitError(f"{item.nodeid}: METRICS of its package must be {{metric: sentence}}, not {metrics!r:.80}")
    return dict(metrics)


def _package(item: pytest.Item) -> ModuleType | None:
    return sys.modules.get(getattr(getattr(item, "module", None), "__package__", None) or "")
