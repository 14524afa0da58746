"""Collection: one item a claim and seed, in the order of the looks; and the plan of a run."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.claim import Claim, claim_of
from memkit.evidence.registration import Lock, Registration
from memkit.pytest_plugin.measuring import STORED, use_stored
from memkit.pytest_plugin.settings import SETTINGS
from memkit.training.cohorts import Cohort, plan

PLAN = pytest.StashKey["RunPlan"]()
_LOCK = pytest.StashKey[Lock]()


@dataclass(frozen=True, kw_only=True)
class PlannedClaim:
    """A claim of this run.

    Attributes:
        nodeid: of its test, without the seed.
        location: file, line and name, for reports.
        planned: the seeds that ``--seeds`` asks for, in the order of the looks.
        selected: those that will run; fewer with ``-k``, ``--lf`` or a node id.
    """

    claim: Claim
    nodeid: str
    location: tuple[str, int | None, str]
    registration: Registration
    planned: tuple[int, ...]
    selected: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        registration = self.registration
        return {
            "claim": self.claim.to_json(),
            "nodeid": self.nodeid,
            "location": list(self.location),
            "registration": [registration.status, registration.attempt, registration.first_seed],
            "planned": list(self.planned),
            "selected": list(self.selected),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlannedClaim:
        """What :meth:`to_json` wrote."""
        status, attempt, first = data["registration"]
        path, line, name = data["location"]
        return cls(
            claim=Claim.from_json(data["claim"]),
            nodeid=data["nodeid"],
            location=(path, line, name),
            registration=Registration(status=status, attempt=attempt, first_seed=first),
            planned=tuple(data["planned"]),
            selected=tuple(data["selected"]),
        )


@dataclass(frozen=True)
class RunPlan:
    """What a run will do: the claims, the cohorts that have to be trained first, and where their modules lie."""

    claims: tuple[PlannedClaim, ...]
    cohorts: tuple[Cohort, ...]
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "claims": [claim.to_json() for claim in self.claims],
            "cohorts": [[c.digest, c.recipe, list(c.seeds), c.summary, c.steps] for c in self.cohorts],
            "files": dict(self.files),
            "path": sys.path,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunPlan:
        """What :meth:`to_json` wrote."""
        return cls(
            tuple(PlannedClaim.from_json(claim) for claim in data["claims"]),
            tuple(
                Cohort(d, recipe, tuple(seeds), summary, steps) for d, recipe, seeds, summary, steps in data["cohorts"]
            ),
            data["files"],
        )


def lock_of(config: pytest.Config) -> Lock:
    """The project's lock, read once a process."""
    if _LOCK not in config.stash:
        config.stash[_LOCK] = Lock.load(Path(config.stash[SETTINGS].lock))
    return config.stash[_LOCK]


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a claim's test its seeds."""
    claim = claim_of(metafunc.function)
    if claim is None:
        return
    if "seed" not in metafunc.fixturenames:
        raise MemkitError(
            f"claim {claim.id!r}: {metafunc.function.__name__}() depends on no seed; take the fixture `arms` or `seed`"
        )
    metafunc.parametrize("seed", planned_seeds(metafunc.config, claim), ids=str)


def planned_seeds(config: pytest.Config, claim: Claim) -> tuple[int, ...]:
    """The seeds of a claim in this run."""
    settings = config.stash[SETTINGS]
    registration = lock_of(config).registration(claim, development=settings.development)
    return registration.seeds(claim.planned(settings.seeds))


def claim_and_seed(item: pytest.Item) -> tuple[Claim, int] | None:
    """The claim and the seed of an item, or None for an ordinary test."""
    claim = claim_of(getattr(item, "function", None))
    callspec = getattr(item, "callspec", None)
    return (claim, callspec.params["seed"]) if claim is not None and callspec is not None else None


def arrange(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the claims, drop what ``--headline`` leaves out, order by seed, and swap in stored measurements.

    Seed-major order: all claims reach their first look before any goes on. Other tests keep their places before.
    """
    settings = config.stash[SETTINGS]
    owners: dict[str, str] = {}
    others: list[pytest.Item] = []
    ours: list[tuple[int, int, pytest.Item]] = []
    dropped: list[pytest.Item] = []
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
        extra = set(item.callspec.params) - {"seed"}  # type: ignore[attr-defined]
        if extra:
            raise MemkitError(
                f"claim {claim.id!r} is parametrised by {sorted(extra)[0]!r} too; write a claim for each value"
            )
        if settings.headline and not claim.headline:
            dropped.append(item)
            continue
        ours.append((planned_seeds(config, claim).index(seed), position, item))
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    store = settings.open_store()
    if ours and not config.option.collectonly:
        store.prepare()
    ordered = [item for _, _, item in sorted(ours, key=lambda entry: entry[:2])]
    if not settings.fresh and not config.option.collectonly:
        for item in ordered:
            if pair := claim_and_seed(item):
                use_stored(item, *pair, store)
    items[:] = others + ordered


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
            raise MemkitError(f"--device {device}: this machine, or its build of torch, has no such device; use cpu")


def base_nodeid(nodeid: str) -> str:
    """A claim's node id without the seed, and without the suffix that ``--dist loadgroup`` adds."""
    return nodeid[: nodeid.rindex("[")]


def hand_over_plan(session: pytest.Session) -> None:
    """Make the plan of the run; a worker leaves it for the controller."""
    config = session.config
    made = make_plan(config, session.items)
    settings = config.stash[SETTINGS]
    if not made.claims:
        return
    if hasattr(config, "workerinput"):
        worker = config.workerinput["workerid"]
        file = Path(settings.exchange) / f"plan-{worker}.json"
        file.write_text(json.dumps(made.to_json()), encoding="utf-8")
    else:
        config.stash[PLAN] = made


def make_plan(config: pytest.Config, items: Iterable[pytest.Item]) -> RunPlan:
    """The claims among the items, and the cohorts that their items need and the store lacks."""
    settings = config.stash[SETTINGS]
    lock = lock_of(config)
    found: dict[str, tuple[Claim, str, tuple[str, int | None, str], list[int]]] = {}
    wanted: list[tuple[Any, list[int]]] = []
    files: dict[str, str] = {}
    for item in items:
        pair = claim_and_seed(item)
        if pair is None:
            continue
        claim, seed = pair
        path, line, name = item.location
        entry = found.setdefault(claim.id, (claim, base_nodeid(item.nodeid), (path, line, base_nodeid(name)), []))
        entry[3].append(seed)
        if STORED not in item.stash:  # its measurement is not in the store, so its models are needed
            for arm in claim.arms.values():
                if arm.recipe is not None:
                    wanted.append((arm.recipe, [seed]))
                    for module in arm.recipe.modules:
                        files[module] = str(getattr(sys.modules.get(module), "__file__", ""))
    claims = tuple(
        PlannedClaim(
            claim=claim,
            nodeid=nodeid,
            location=location,
            registration=lock.registration(claim, development=settings.development),
            planned=planned_seeds(config, claim),
            selected=tuple(sorted(seeds)),
        )
        for claim, nodeid, location, seeds in found.values()
    )
    cohorts = plan(wanted, settings.open_store()) if wanted else []
    if cohorts and not config.option.collectonly:
        check_training(settings.device, next(claim.claim.id for claim in claims))
    return RunPlan(claims, tuple(cohorts), files)
