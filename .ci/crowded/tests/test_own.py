"""The project's own tests, one for each plugin that it has."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

TRIES = []


def test_fixtures_and_options(arms, seed, device):
    assert arms["left"] == seed
    assert device in ("ours", "cuda")


@pytest.mark.parametrize("seed", [5, 6])
def test_a_seed_of_its_own(arms, seed):
    assert arms == {"left": seed, "right": -seed}


async def test_waits():
    await asyncio.sleep(0)


def test_is_fast(benchmark):
    assert benchmark(sum, [1, 2]) == 3


@pytest.mark.flaky(reruns=1)
def test_is_flaky():
    TRIES.append(1)
    assert len(TRIES) > 1


@pytest.mark.timeout(30)
def test_ends():
    pass


@pytest.mark.repeat(2)
def test_again():
    pass


def test_parts(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number < 3


@given(st.integers())
def test_property(number):
    assert number == int(number)
