"""Collection: one item per claim and seed, in the order of the looks; and the plan of a run."""

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
from memkit.evidence.derived.copies import marked_as_its_source
from memkit.evidence.derived.sweep import is_sweep
from memkit.paths import locked_root
from memkit.pytest_plugin import fixtures
from memkit.pytest_plugin.absence import absent_claims, removed_claims
from memkit.pytest_plugin.compute_platform import calculated_on
from memkit.pytest_plugin.controller import PLAN, REMOVED, SEEN
from memkit.pytest_plugin.file_watcher import FileWatcher
from memkit.pytest_plugin.fixtures import FIXTURES
from memkit.pytest_plugin.interruption import end_with_parent
from memkit.pytest_plugin.measurement_keeper import MeasurementKeeper
from memkit.pytest_plugin.measurement_keys import code_of, key_of, once
from memkit.pytest_plugin.plan import PlannedClaim, RunPlan
from memkit.pytest_plugin.seeds import lock_of, planned_seeds
from memkit.pytest_plugin.settings import Settings, settings_of
from memkit.scheduling.cohorts import Training
from memkit.statistics import LOOKS

_DESELECTED = pytest.StashKey[set[str]]()
_EXCLUDED = pytest.StashKey[dict[str, str]]()
_FUNCTIONS = (types.FunctionType, staticmethod, classmethod, functools.partial)
_FIXTURES = "memkit.pytest_plugin.fixtures"

T = TypeVar("T")


def leave_out(collector: Any, name: str, function: object) -> list[pytest.Item] | None:
    """Return an empty list for what becomes no item: a sweep, for which its cells stand, and what the options exclude.

    Raises:
        MemkitError: pytest would not collect the claim, which must not vanish without a word; the command line names
            a claim that its options exclude; or the claim lies below a lock that the run does not go by.
    """
    if not isinstance(function, _FUNCTIONS):  # a proxy, say, may raise at any attribute, or have every one
        return None
    if is_sweep(function):
        return []
    marked_as_its_source(function)
    claim = claim_of(function)
    if claim is None:
        return None
    seen = collector.config.stash.setdefault(SEEN, set())
    _check_lock(collector.config, claim, collector.path.parent)
    if not collector.config.pluginmanager.has_plugin("memkit-fixtures"):
        collector.config.pluginmanager.register(fixtures, "memkit-fixtures")
        if hasattr(collector.config, "workerinput"):
            end_with_parent()
        collector.config.pluginmanager.register(MeasurementKeeper(collector.config), "memkit-measurement-keeper")
        collector.config.pluginmanager.register(FileWatcher(collector.config), "memkit-file-watcher")
    if getattr(function, "__name__", name) != name:
        raise MemkitError(
            f"claim {claim.id!r}: a decorator below it hides {name}() behind {getattr(function, '__name__', '')}(); "
            "make it with functools.wraps"
        )
    if not collector.funcnamefilter(name):
        raise MemkitError(f"claim {claim.id!r}: pytest collects no function called {name}(); call it test_{name}()")
    if excluded := _excluded(claim, settings_of(collector.config)):
        what, remedy = excluded
        if any(_names(argument, collector, name) for argument in collector.config.args):
            raise MemkitError(f"claim {claim.id!r} is among the {what}; {remedy}")
        collector.config.stash.setdefault(_EXCLUDED, {})[claim.id] = f"{what} ({remedy})"
        seen.add(claim.id)
        return []
    return None


def _check_lock(config: pytest.Config, claim: Claim, folder: Path) -> None:
    """See that no claim is taken for unregistered because the run goes by another project's lock."""
    root = Path(settings_of(config).root)
    own = once(config, ("lock above", folder), lambda: locked_root(folder.resolve()))
    if own is not None and own != root:
        raise MemkitError(
            f"claim {claim.id!r} lies below the lock of {own}, and this run is about {root}; run it by itself: "
            f"pytest {folder}"
        )


def _names(argument: str, collector: Any, name: str) -> bool:
    """Return whether an argument of the command line names a function in a file."""
    path, *names = re.split(r"::|\[", argument)
    return name in names and (collector.config.invocation_params.dir / path).resolve() == collector.path.resolve()


def _excluded(claim: Claim, settings: Settings) -> tuple[str, str] | None:
    """Return which claims the options exclude, and the remedy, if this claim is one of them."""
    if settings.headline and not claim.headline:
        return "claims that are no headlines", "--memkit-headline leaves them out"
    if settings.sweeps == "none" and claim.aside:
        return "cells of sweeps and replications", "--memkit-sweeps runs them"
    if settings.sweeps == "only" and not (claim.sweep or claim.is_replication):
        return "claims beside the sweeps", "--memkit-sweeps leaves them out"
    return None


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a claim's test its seeds.

    Raises:
        MemkitError: it depends on no seed, it is parametrised by hand, or a fixture of the project hides one of
            memkit's.
    """
    claim = claim_of(metafunc.function)
    if claim is None:
        return
    name = metafunc.function.__name__
    if "seed" not in metafunc.fixturenames:
        taken = ", ".join(f"`{name}`" for name in inspect.signature(metafunc.function).parameters) or "nothing"
        raise MemkitError(
            f"claim {claim.id!r}: {name}() depends on no seed; take the fixture `arms` or `seed` (it takes {taken})"
        )
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        for parameter in names.split(",") if isinstance(names, str) else names:
            _refuse_parameter(claim, parameter.strip())
    definitions: Mapping[str, Sequence[Any]] = metafunc.definition._fixtureinfo.name2fixturedefs
    for fixture in FIXTURES:
        found = definitions.get(fixture, ())
        if found and getattr(found[-1].func, "__module__", "") != _FIXTURES:
            where = f"{found[-1].func.__module__}.{found[-1].func.__qualname__}()"
            raise MemkitError(
                f"claim {claim.id!r}: {name}() would get `{fixture}` from {where} and not from memkit; rename that "
                "fixture, or move the claim to a folder where it is not in scope"
            )
    metafunc.parametrize("seed", planned_seeds(metafunc.config, claim), ids=str)
    metafunc.config.stash.setdefault(SEEN, set()).add(claim.id)  # here, since pytest may make no item of a function


def _refuse_parameter(claim: Claim, parameter: str) -> None:
    if parameter == "seed":
        raise MemkitError(
            f"claim {claim.id!r} is parametrised by 'seed', which memkit does; leave that parametrize() out, and cap "
            "the number of seeds with seeds="
        )
    raise MemkitError(f"claim {claim.id!r} is parametrised by {parameter!r} too; write a claim for each value")


def claim_and_seed(item: pytest.Item) -> tuple[Claim, int] | None:
    """Return the claim and the seed of an item, or None for an ordinary test."""
    claim = claim_of(getattr(item, "function", None))
    callspec = getattr(item, "callspec", None)
    return (claim, callspec.params["seed"]) if claim is not None and callspec is not None else None


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the claims, and order their items by look.

    All claims reach their first look before any goes on, and within a look one claim follows another, so that the
    first verdicts come early. Other tests keep their places before.
    """
    owners: dict[str, str] = {}
    sweeps: dict[str, str] = {}
    others: list[pytest.Item] = []
    ours: list[tuple[int, int, pytest.Item]] = []
    for position, item in enumerate(items):
        pair = claim_and_seed(item)
        if pair is None:
            if unfit := claim_of(getattr(item, "function", None)):
                raise MemkitError(f"claim {unfit.id!r}: a unittest.TestCase cannot be parametrised; write a function")
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
        ours.append((_look(planned_seeds(config, claim).index(seed)), position, item))
    if not items and (left_out := config.stash.get(_EXCLUDED, {})):
        which, number = Counter(left_out.values()).most_common(1)[0]
        raise MemkitError(f"no claim is left: {number} left out, {which}")
    if ours and not config.option.collectonly:
        settings_of(config).store_of_run.prepare()
    items[:] = others + [item for _, _, item in sorted(ours, key=lambda entry: entry[:2])]


def check_training(device: str, claim: str) -> None:
    """See that models can be trained here, before each seed finds out by itself.

    Raises:
        MemkitError: torch is not installed, or does not know the device.
    """
    if missing := [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]:
        raise MemkitError(
            f"claim {claim!r} trains models, which needs {missing[0]}; install memkit with its extra [torch], as in "
            "pip install 'path/to/memkit[torch]'"
        )
    if device != "cpu":
        import torch

        known = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if not known[device]:
            raise MemkitError(
                f"--memkit-device {device}: this machine, or its build of torch, has no such device; use cpu"
            )


def missing_data(claim: Claim, root: Path) -> str:
    """Return what of a claim is not on this machine: data that it or its recipes name, or a backend; or "".

    Raises:
        MemkitError: a task's ``missing`` is no text, or what the claim declares is neither a file nor a folder.
    """
    try:
        said = [arm.recipe.missing for arm in claim.arms.values() if arm.recipe is not None]
    except MemkitError as error:
        raise MemkitError(f"claim {claim.id!r}: {error}") from error
    for name in claim.data:
        place = root / name
        if place.exists() and not (place.is_file() or place.is_dir()):
            raise MemkitError(f"claim {claim.id!r}: data={name!r} is a pipe or a device; name a file or a folder")
        said += [] if place.exists() else [f"{name} is not below {root}; put it there"]
    return "; ".join(dict.fromkeys(filter(None, said)))


def file_of(item: pytest.Item, root: Path) -> str:
    """Return the file of a claim as the lock names it: relative to the root, with slashes; "" outside of it."""
    # As it was collected first: it may be a link to a file elsewhere.
    files = (item.path.parent.resolve() / item.path.name, item.path, item.path.resolve())
    return next((file.relative_to(root).as_posix() for file in files if file.is_relative_to(root)), "")


def note_removed(config: pytest.Config, before: Iterable[pytest.Item], after: Iterable[pytest.Item]) -> None:
    """Note which claims have lost items between two hooks, without those that were reported as deselected."""
    left = {item.nodeid for item in after}
    told: set[str] = config.stash.get(_DESELECTED, set())
    left |= told
    lost = (pair[0].id for item in before if item.nodeid not in left and (pair := claim_and_seed(item)) is not None)
    config.stash[REMOVED] = dict(Counter(lost))


def note_deselected(items: Iterable[pytest.Item]) -> None:
    """Note items that were left out by somebody who says so."""
    for item in items:
        item.config.stash.setdefault(_DESELECTED, set()).add(item.nodeid)


def base_nodeid(nodeid: str) -> str:
    """Return a claim's node id without the seed, and without the suffix that ``--dist loadgroup`` adds."""
    return nodeid[: nodeid.rindex("[")]


def _look(position: int) -> int:
    """At which look a seed comes in, counted from 0, by its place among the planned ones."""
    return sum(look.n <= position for look in LOOKS)


def hand_over_plan(session: pytest.Session) -> None:
    """Make the plan of the run; a worker leaves it for the controller."""
    config = session.config
    settings = settings_of(config)
    if settings.refused():  # pytest comes here all the same
        return
    for file in settings_in_use({item.path for item in session.items}):
        check_project_aliases(file)
    made = make_plan(config, session.items)
    if not made.claims and not made.absent:
        return
    if hasattr(config, "workerinput"):
        worker = config.workerinput["workerid"]
        file = Path(settings.exchange) / f"plan-{worker}.json"
        file.write_text(json.dumps({**made.to_json(), "path": sys.path}), encoding="utf-8")
    else:
        config.stash[PLAN] = made


def make_plan(config: pytest.Config, items: Iterable[pytest.Item]) -> RunPlan:
    """Return the claims among the items, and what their arms are trained by."""
    settings = settings_of(config)
    lock = lock_of(config)
    found: dict[str, tuple[Claim, pytest.Item]] = {}
    selected: dict[str, list[int]] = {}
    looks: list[int] = []
    for item in items:
        pair = claim_and_seed(item)
        if pair is None:
            continue
        claim, seed = pair
        found.setdefault(claim.id, (claim, item))
        selected.setdefault(claim.id, []).append(seed)
        looks.append(_look(planned_seeds(config, claim).index(seed)))
    trainings: dict[str, Training] = {}
    files: dict[str, str] = {}
    claims = []
    for claim, item in found.values():
        missing = missing_data(claim, Path(settings.root))
        recipes = [arm.recipe for arm in claim.arms.values() if arm.recipe is not None and not missing]
        for recipe in recipes:
            if recipe.digest not in trainings:
                trainings[recipe.digest] = Training.of(recipe)
                files |= {name: str(getattr(sys.modules.get(name), "__file__", "")) for name in recipe.modules}
        path, line, name = item.location
        claims.append(
            PlannedClaim(
                claim=claim,
                nodeid=base_nodeid(item.nodeid),
                location=(path, line, base_nodeid(name)),
                registration=lock.registration(claim, development=settings.development, code=code_of(item, claim)),
                planned=planned_seeds(config, claim),
                selected=tuple(selected[claim.id]),
                key=key_of(item, claim),
                recipes=tuple(dict.fromkeys(recipe.digest for recipe in recipes)),
                missing=missing,
            )
        )
    trained = next((p.claim.id for p in claims if p.recipes), None)
    if trained is not None and not config.option.collectonly:
        check_training(settings.device, trained)
    ordered = looks == sorted(looks)
    seen = config.stash.get(SEEN, set[str]())
    gates = settings.gate != "none" and not settings.development
    made = RunPlan(
        claims=tuple(claims),
        trainings=trainings,
        files=files,
        ordered=ordered,
        studies=_by_study(found.values(), interpretation),
        metrics=_by_study(found.values(), definitions),
        excluded=dict(Counter(config.stash.get(_EXCLUDED, {}).values())),
        absent=(*absent_claims(config, lock, seen, strict=settings.strict), *removed_claims(config, lock))
        if gates
        else (),
        # A worker's, where there are workers: they measure, and have imported what they measure with.
        calculated_on=calculated_on(settings.device, trains=bool(trainings) and not config.option.collectonly),
    )
    return made


def _by_study(found: Iterable[tuple[Claim, pytest.Item]], said_by: Callable[[pytest.Item], T]) -> dict[str, T]:
    """Study → what the package of its tests says. Of several packages, the one of the study's name speaks for it."""
    told: dict[str, T] = {}
    for claim, item in found:
        package = _package(item)
        own = package is not None and package.__name__.rpartition(".")[2] == claim.study
        if (own or claim.study not in told) and (said := said_by(item)):
            told[claim.study] = said
    return told


def interpretation(item: pytest.Item) -> str:
    """Return how the authors of an item's study read it: the docstring of the package of its tests; else ""."""
    package = _package(item)
    return inspect.cleandoc(package.__doc__ or "") if package is not None else ""


def definitions(item: pytest.Item) -> dict[str, str]:
    """Return what the metrics of an item's study are: ``METRICS`` of the package of its tests; else nothing.

    Raises:
        MemkitError: it is not {metric: sentence}.
    """
    said = getattr(_package(item), "METRICS", {})
    if not isinstance(said, dict) or not all(isinstance(part, str) for pair in said.items() for part in pair):
        raise MemkitError(f"{item.nodeid}: METRICS of its package must be {{metric: sentence}}, not {said!r:.80}")
    return dict(said)


def _package(item: pytest.Item) -> ModuleType | None:
    return sys.modules.get(getattr(getattr(item, "module", None), "__package__", None) or "")
