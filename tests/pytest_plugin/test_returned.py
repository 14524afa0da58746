"""The values that a test returns, as a run counts them and as the next run reads them from the store."""

from __future__ import annotations

from typing import Any

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import canned, evidence, ran, write_suite


@pytest.mark.parametrize(
    ("returned", "counted", "reason"),
    [
        ("np.float64(0.75)", 0.75, ""),
        ("np.array(0.75, dtype=np.float32)", 0.75, ""),
        ("1", 1.0, ""),
        ("np.nan", None, "the test returned nan"),
        ("np.inf", None, "the test returned inf"),
        ("np.ma.masked", None, "the test returned nan"),
        ("np.ma.array(0.75, mask=True)", None, "the test returned nan"),
        ("np.ma.array([0.5, 0.75], mask=True).mean()", None, "the test returned nan"),
        ("{'score': np.ma.masked, 'more': 2}", None, "the test returned nan"),
    ],
)
def test_a_returned_value_counts_the_same_before_and_after_storing(
    pytester: pytest.Pytester, returned: str, counted: float | None, reason: str
) -> None:
    write_suite(pytester, canned("it", returned, body="import numpy as np"))
    for measured in (8, 0):
        run(pytester, "--memkit-seeds=8", "--memkit-gate=none")
        assert len(ran(pytester.path)) == measured
        rows: list[list[Any]] = evidence(pytester)["lab/it"]["observations"]
        found = {(row[3], row[4]) for row in rows if row[1:3] == ["treatment", "score"]}
        assert found == {(counted, reason)}


def test_a_number_outside_the_range_of_floats_fails_the_seed(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("it", "10**400"))
    result = run(pytester, "--memkit-seeds=8")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*score of 'treatment', of the type int, is larger than the largest float*"])
