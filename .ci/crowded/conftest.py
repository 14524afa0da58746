"""Options and fixtures by the names that memkit would like to have, too."""

import pytest


def pytest_addoption(parser):
    for name in ("--device", "--data", "--gate", "--executor", "--evidence", "--store"):
        parser.addoption(name, default="ours")
    parser.addoption("--seeds", type=int, default=1)
    for name in ("--fresh", "--headline", "--development", "--sweeps", "--retrain"):
        parser.addoption(name, action="store_true")


@pytest.fixture
def device(pytestconfig):
    return pytestconfig.getoption("--device")
