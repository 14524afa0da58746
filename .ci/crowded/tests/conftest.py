"""Fixtures that are in scope for the project's own tests, and not for its claims."""

import pytest


@pytest.fixture
def seed(pytestconfig):
    return pytestconfig.getoption("--seeds")


@pytest.fixture
def arms(seed):
    return {"left": seed, "right": -seed}
