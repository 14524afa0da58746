"""The fixtures that a claim's test may ask for: ``seed``, ``arms``, ``trained``, ``cell``, ``scores``.

They are there in every pytest run of an environment in which memkit is installed, so what they need is imported when
one of them is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

FIXTURES = ("seed", "arms", "trained", "cell", "scores")


@pytest.fixture
def seed() -> int:
    """Return the seed of a claim's test; ``@claim`` gives it its values."""
    # It does without `request`, which pytest would make for every item.
    raise pytest.UsageError("`seed` has a value in tests under @claim only")


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Return the cell of a sweep that is measured: factor → value."""
    from memkit.evidence.claim_decorator import claim_of

    claim = claim_of(request.function)
    if claim is None or not claim.sweep:
        raise pytest.UsageError(f"{request.node.nodeid}: `cell` is for tests under @sweep")
    return dict(claim.cell)


@pytest.fixture
def trained(request: pytest.FixtureRequest, seed: int) -> Mapping[str, Any]:
    """Return arm → :class:`memkit.training.trainer.TrainedRun` of this seed: its metrics, its history, its state."""
    from memkit.evidence.claim_decorator import claim_of
    from memkit.pytest_plugin.item_call import RUNS
    from memkit.pytest_plugin.messages import messages_of
    from memkit.pytest_plugin.settings import settings_of
    from memkit.scheduling.cohorts import obtain, restored

    claim = claim_of(request.function)
    if claim is None:
        raise pytest.UsageError(f"{request.node.nodeid}: `arms` and `trained` are for tests under @claim")
    settings = settings_of(request.config)
    store = settings.store_of_run
    failed = messages_of(request.config).failed
    runs = {}
    for name, arm in claim.arms.items():
        if arm.recipe is not None:
            if reason := failed.get((arm.recipe.digest, seed)):
                pytest.fail(f"{reason}\n(while the arm {name!r} was trained on seed {seed})", pytrace=False)
            recipe = arm.recipe
            run = obtain(recipe, recipe.digest, seed, store, device=settings.device)
            if "arms" not in request.fixturenames:  # which would see whether the weights are the model's
                run, _ = restored(run, recipe, recipe.digest, store, device=settings.device)
            runs[name] = run
    request.node.stash[RUNS] = runs
    return runs


@pytest.fixture
def arms(request: pytest.FixtureRequest, seed: int, trained: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield arm → trained model of this seed, in evaluation mode, with its intervention applied, if it has one."""
    from memkit.evidence.claim_decorator import claim_of
    from memkit.pytest_plugin.item_call import RUNS
    from memkit.pytest_plugin.settings import settings_of
    from memkit.scheduling.cohorts import restored
    from memkit.training.process import prepared_process

    claim = claim_of(request.function)
    assert claim is not None  # `trained` has refused
    settings = settings_of(request.config)
    with prepared_process():
        models: dict[str, Any] = {}
        runs = request.node.stash[RUNS]  # which is `trained`
        for name, run in tuple(runs.items()):
            arm = claim.arms[name]
            store = settings.store_of_run
            runs[name], model = restored(run, arm.recipe, arm.recipe.digest, store, device=settings.device)
            models[name] = model
            if callable(arm.intervention):
                models[name] = arm.intervened(model, seed)
                if models[name] is None:
                    said = f"the intervention {arm.intervention.__qualname__}() of the arm {name!r} returned None"
                    pytest.fail(f"claim {claim.id!r}: {said}; return the model", pytrace=False)
        yield models


@pytest.fixture
def scores(request: pytest.FixtureRequest, seed: int, arms: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """Return arm → metric → value by the score of a staged study's matrix, on the test examples of this seed."""
    from memkit.errors import MemkitError
    from memkit.evidence.claim_decorator import claim_of
    from memkit.evidence.derived.copies import scoring_of

    claim, scoring = claim_of(request.function), scoring_of(request.function)
    if claim is None or scoring is None:
        raise pytest.UsageError(f"{request.node.nodeid}: `scores` is for tests under @staged")
    try:
        return {name: scoring.of(model, claim.arms[name].recipe, seed, "test") for name, model in arms.items()}
    except MemkitError as error:
        refusal = f"claim {claim.id!r}, seed {seed}: {error}"
    pytest.fail(refusal, pytrace=False)
