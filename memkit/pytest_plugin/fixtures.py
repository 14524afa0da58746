"""The fixtures for the tests of claims: ``seed``, ``arms``, ``trained``, ``cell``, ``scores``.

Modules that only a fixture needs are imported when the fixture is requested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

FIXTURES = ("seed", "arms", "trained", "cell", "scores")


@pytest.fixture
def seed() -> int:
    """Return the seed of a claim's test; ``@claim`` parametrises the test by its seeds.

    Raises:
        pytest.UsageError: the test is not one under ``@claim``.
    """
    # It does not ask for `request`, which pytest would have to make for every item.
    raise pytest.UsageError("`seed` is for tests under @claim")


@pytest.fixture
def cell(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Return factor → value for the cell of a sweep that is measured.

    Raises:
        pytest.UsageError: the test is not one under ``@sweep``.
    """
    from memkit.evidence.claim_decorator import claim_of

    claim = claim_of(request.function)
    if claim is None or not claim.sweep:
        raise pytest.UsageError(f"{request.node.nodeid}: `cell` is for tests under @sweep")
    return dict(claim.cell)


@pytest.fixture
def trained(request: pytest.FixtureRequest, seed: int) -> Mapping[str, Any]:
    """Return arm → :class:`memkit.training.trainer.TrainedRun` on this seed, with its metrics, history and state.

    Raises:
        pytest.UsageError: the test is not one under ``@claim``.
    """
    from memkit.evidence.claim_decorator import claim_of
    from memkit.pytest_plugin.item_call import RUNS
    from memkit.pytest_plugin.messages import messages_of
    from memkit.pytest_plugin.settings import settings_of
    from memkit.scheduling.cohorts import load_or_train, restore_or_retrain

    claim = claim_of(request.function)
    if claim is None:
        raise pytest.UsageError(f"{request.node.nodeid}: `arms` and `trained` are for tests under @claim")
    settings = settings_of(request.config)
    store = settings.store_of_run
    training_errors = messages_of(request.config).training_errors
    runs = {}
    for name, arm in claim.arms.items():
        if arm.recipe is not None:
            if reason := training_errors.get((arm.recipe.digest, seed)):
                pytest.fail(f"{reason}\n(while the arm {name!r} was trained on seed {seed})", pytrace=False)
            recipe = arm.recipe
            run = load_or_train(recipe, recipe.digest, seed, store, device=settings.device)
            if "arms" not in request.fixturenames:  # `arms` itself checks that the weights fit the model
                run, _ = restore_or_retrain(run, recipe, recipe.digest, store, device=settings.device)
            runs[name] = run
    request.node.stash[RUNS] = runs
    return runs


@pytest.fixture
def arms(request: pytest.FixtureRequest, seed: int, trained: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield arm → the model trained on this seed, in evaluation mode, with the arm's intervention applied."""
    from memkit.evidence.claim_decorator import claim_of
    from memkit.pytest_plugin.item_call import RUNS
    from memkit.pytest_plugin.settings import settings_of
    from memkit.scheduling.cohorts import restore_or_retrain
    from memkit.training.process import prepared_process

    claim = claim_of(request.function)
    assert claim is not None  # `trained` has checked it
    settings = settings_of(request.config)
    with prepared_process():
        models: dict[str, Any] = {}
        runs = request.node.stash[RUNS]  # the dict that `trained` returned
        for name, run in tuple(runs.items()):
            arm = claim.arms[name]
            store = settings.store_of_run
            runs[name], model = restore_or_retrain(run, arm.recipe, arm.recipe.digest, store, device=settings.device)
            models[name] = model
            if callable(arm.intervention):
                models[name] = arm.intervened(model, seed)
                if models[name] is None:
                    problem = f"the intervention {arm.intervention.__qualname__}() of the arm {name!r} returned None"
                    pytest.fail(f"claim {claim.id!r}: {problem}; return the model", pytrace=False)
        yield models


@pytest.fixture
def scores(request: pytest.FixtureRequest, seed: int, arms: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """Return arm → metric → value, computed by the score of a staged study on the test examples of this seed.

    Raises:
        pytest.UsageError: the test is not one under ``@staged``.
    """
    from memkit.errors import MemkitError
    from memkit.evidence.claim_decorator import claim_of
    from memkit.evidence.derived.copies import scoring_of

    claim, scoring = claim_of(request.function), scoring_of(request.function)
    if claim is None or scoring is None:
        raise pytest.UsageError(f"{request.node.nodeid}: `scores` is for tests under @staged")
    try:
        return {name: scoring.of(model, claim.arms[name].recipe, seed, "test") for name, model in arms.items()}
    except MemkitError as error:
        message = f"claim {claim.id!r}, seed {seed}: {error}"
    pytest.fail(message, pytrace=False)
