"""Adaptive looks: a claim measures the seeds that decide it and no more, however the tests are distributed."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from memkit.evidence.claim import Claim
from memkit.evidence.decision_rule import judge
from memkit.evidence.observation import Observation
from tests import inner
from tests.pytest_plugin.lab import canned, evidence, ran, verdict, write_suite

# The values (treatment, control) of claims that are decided at the first look, at the second, or never.
ARMS: dict[str, Callable[[int], tuple[float, float]]] = {
    "eight": lambda seed: (0.9, 0.1),
    "twelve": lambda seed: (0.6 + 0.01 * (seed % 7), 0.1),
    "never": lambda seed: (seed % 2, (seed + 1) % 2),
    "turning": lambda seed: (0.95 if seed < 10008 else 0.0, 0.0),
}
EIGHT = canned("eight")
TWELVE = canned("twelve", "0.6 + 0.01 * (seed % 7)")
NEVER = canned("never", "seed % 2", "(seed + 1) % 2", options='expect="not_supported",')
BROKEN = canned("broken", body="assert seed != 10002, 'the fuse blew'")
TURNING = canned("turning", "0.95 if seed < 10008 else 0.0", "0.0")
LOOKS = (0, 8, 12, 16, 20, 24, 28, 32)
PLAIN = "\n    def test_plain():\n        pass\n"


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return inner.run(pytester, "--junitxml=junit.xml", *arguments)


def seeds_that_ran(pytester: pytest.Pytester, first: int = 10000) -> dict[str, list[int]]:
    """Return claim → its seeds, counted from 0, in the order in which they ran; reset the record."""
    found: dict[str, list[int]] = {}
    for line in ran(pytester.path):
        name, seed = line.split()
        found.setdefault(name, []).append(int(seed) - first)
    return found


def seeds_per_claim(found: dict[str, list[int]]) -> dict[str, int]:
    """Return claim → how many seeds ran, after a check that each ran once and that the looks ran in order."""
    for seeds in found.values():
        for start, end in itertools.pairwise(LOOKS):
            assert set(seeds[start:end]) <= set(range(start, end))
        assert len(set(seeds)) == len(seeds)
    return {name: len(seeds) for name, seeds in found.items()}


def reasons(pytester: pytest.Pytester) -> dict[str, dict[str, int]]:
    """Return claim → reason → how many of its seeds were skipped for that reason, from the JUnit report."""
    found: dict[str, dict[str, int]] = {}
    for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase"):
        skipped = case.find("skipped")
        name, _, rest = case.attrib["name"].removeprefix("test_").partition("[")
        if skipped is not None and not rest.startswith("verdict"):
            counts = found.setdefault(name, {})
            counts[skipped.attrib["message"]] = counts.get(skipped.attrib["message"], 0) + 1
    return found


def fully_judged(entry: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the judgement on the observations of all planned seeds."""
    claim = Claim.from_json(entry["claim"])
    rows = [
        Observation(claim=claim.id, seed=seed, arm=arm, metric="score", value=float(value))
        for seed in entry["planned"]
        for arm, value in zip(("treatment", "control"), ARMS[name](seed), strict=True)
    ]
    return judge(claim, rows, planned=entry["planned"]).to_json()


HOW = ["-n0", "-n2", "-n2 --dist=worksteal", "-n2 --dist=loadfile", "-n2 --dist=loadscope", "-n2 --dist=loadgroup"]


@pytest.mark.parametrize("how", HOW)
def test_only_the_seeds_that_decide_are_measured(pytester: pytest.Pytester, how: str) -> None:
    grouped = TWELVE.replace("    @claim", '    @pytest.mark.xdist_group("a group")\n    @claim', 1)
    write_suite(pytester, EIGHT, NEVER, PLAIN, more=(grouped, BROKEN))

    result = run(pytester, *how.split())

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=8 + 32 + 1 + 12 + 7 + 3, failed=1 + 1, skipped=24 + 20 + 24)
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"eight": 8, "never": 32, "twelve": 12, "broken": 8}
    assert reasons(pytester) == {
        "eight": {"decided at n = 8": 24},
        "twelve": {"decided at n = 10": 20},
        "broken": {"seed 10002 failed, so the claim cannot be decided": 24},
    }
    entries = evidence(pytester)
    for name, (found, decided_at, measured) in {
        "eight": ("SUPPORTED", 8, 8),
        "twelve": ("SUPPORTED", 10, 12),
        "never": ("INCONCLUSIVE", None, 32),
    }.items():
        entry = entries[f"lab/{name}"]
        judgement = entry["judgement"]
        assert (judgement["verdict"], judgement["decided_at"]) == (found, decided_at)
        assert judgement["n"] == decided_at or judgement["n"] == measured
        assert judgement == fully_judged(entry, name)
        assert entry["planned"] == list(range(10000, 10032))
        assert [row[:4] for row in entry["observations"]] == [
            [seed, arm, "score", value]
            for seed in range(10000, 10000 + measured)
            for arm, value in zip(("treatment", "control"), ARMS[name](seed), strict=True)
        ]
    assert entries["lab/broken"]["judgement"]["verdict"] == "INCOMPLETE"
    assert entries["lab/broken"]["outcome"]["outcome"] == "failed"
    result.stdout.fnmatch_lines(
        [
            "*memkit: 4 claims, at most 128 seeds in all; each claim stops at its verdict",
            "*seeds (*) were never needed*",
        ]
    )


def test_items_are_ordered_by_look_claim_and_seed(pytester: pytest.Pytester) -> None:
    write_suite(pytester, EIGHT, PLAIN, NEVER)
    lines = inner.run(pytester, "--collect-only", "-q").outlines
    items = [line.removeprefix("test_lab.py::test_") for line in lines if "::" in line]
    expected = [
        f"{name}[{10000 + seed}]"
        for start, end in itertools.pairwise(LOOKS)
        for name in ("eight", "never")
        for seed in range(start, end)
    ]
    assert items == ["plain", *expected]


def test_a_verdict_is_reported_as_soon_as_it_is_decided(pytester: pytest.Pytester) -> None:
    write_suite(pytester, EIGHT, TWELVE)
    lines = run(pytester, "-n0", "-v").outlines
    items = [line.split("::test_")[1].split()[0] for line in lines if line.startswith("test_lab.py::")]
    seeds = {name: [f"{name}[{seed}]" for seed in range(10000, 10032)] for name in ("eight", "twelve")}
    assert items == [
        *(*seeds["eight"][:8], "eight[verdict]", *seeds["twelve"][:8]),
        *(*seeds["eight"][8:12], *seeds["twelve"][8:12], "twelve[verdict]"),
        *(seed for a, b in itertools.pairwise(LOOKS[2:]) for name in seeds for seed in seeds[name][a:b]),
    ]


def test_fewer_seeds_can_be_requested(pytester: pytest.Pytester) -> None:
    write_suite(pytester, EIGHT, TWELVE)
    expected = {
        "8": ((8, "SUPPORTED"), (8, "INCONCLUSIVE")),
        "9": ((8, "SUPPORTED"), (9, "INCONCLUSIVE")),
        "11": ((8, "SUPPORTED"), (11, "SUPPORTED")),
        "32": ((8, "SUPPORTED"), (12, "SUPPORTED")),
        "5": ((5, "INCONCLUSIVE"), (5, "INCONCLUSIVE")),
    }
    for seeds, (eight, twelve) in expected.items():
        run(pytester, "-n0", "--fresh", f"--seeds={seeds}")
        counts = seeds_per_claim(seeds_that_ran(pytester))
        assert (counts["eight"], verdict(pytester, "eight")) == eight, seeds
        assert (counts["twelve"], verdict(pytester, "twelve")) == twelve, seeds
        assert len(evidence(pytester)["lab/eight"]["planned"]) == int(seeds)
    assert reasons(pytester) == {}  # five seeds decide nothing, so all of them run


def test_development_seeds_stop_at_the_same_look(pytester: pytest.Pytester) -> None:
    write_suite(pytester, EIGHT, TWELVE, NEVER, register=False)

    result = run(pytester, "-n2")

    assert result.ret == 0
    assert seeds_per_claim(seeds_that_ran(pytester, first=0)) == {"eight": 8, "twelve": 12, "never": 32}
    assert reasons(pytester) == {
        "eight": {"looks like SUPPORTED at n = 8": 24},
        "twelve": {"looks like SUPPORTED at n = 10": 20},
    }


def nodes(name: str, seeds: int) -> list[str]:
    return [f"test_lab.py::test_{name}[{10000 + seed}]" for seed in range(seeds)]


def test_a_run_may_have_more_workers_than_a_look_has_items(pytester: pytest.Pytester) -> None:
    write_suite(pytester, TWELVE)

    result = run(pytester, "-n4", *nodes("twelve", 16))

    assert result.ret == 0
    result.assert_outcomes(passed=12 + 1, skipped=4)
    assert seeds_per_claim(seeds_that_ran(pytester)) == {"twelve": 12}


def test_an_incomplete_look_runs_and_decides_nothing(pytester: pytest.Pytester) -> None:
    write_suite(pytester, EIGHT, TWELVE, NEVER)

    result = run(pytester, "-n2", "-rs", *nodes("eight", 12), *nodes("twelve", 9), *nodes("never", 18))

    assert result.ret == 0
    assert {name: len(seeds) for name, seeds in seeds_that_ran(pytester).items()} == {
        "eight": 8,
        "twelve": 9,
        "never": 18,
    }
    assert verdict(pytester, "eight") == "SUPPORTED"
    result.stdout.fnmatch_lines_random(
        [
            "SKIPPED*lab/twelve: INCOMPLETE: not run: seeds 10009–10011",
            "SKIPPED*lab/never: INCOMPLETE: not run: seeds 10018–10019",
        ]
    )
    ran(pytester.path)
    run(pytester, "-n0", "--fresh", "-k", "test_eight and (10003 or 10020)")
    assert seeds_that_ran(pytester) == {"eight": [3, 20]}
    assert verdict(pytester, "eight") == "INCOMPLETE"


SHUFFLES = {
    "after memkit": "@pytest.hookimpl(trylast=True)\ndef pytest_collection_modifyitems(items):\n    items.reverse()\n",
    "around memkit": "@pytest.hookimpl(wrapper=True)\ndef pytest_collection_modifyitems(items):\n"
    "    result = yield\n    items.reverse()\n    return result\n",
    "not at all": "",
}


@pytest.mark.parametrize(
    ("how", "shuffle"),
    [
        ("-n0", "after memkit"),
        ("-n2", "around memkit"),
        ("-n2 --dist=loadfile", "after memkit"),
        ("-n2 --dist=each", "not at all"),
    ],
)
def test_if_looks_cannot_be_kept_in_order_every_seed_runs(pytester: pytest.Pytester, how: str, shuffle: str) -> None:
    pytester.makeconftest("import pytest\n\n" + SHUFFLES[shuffle])
    write_suite(pytester, EIGHT, TWELVE, TURNING)

    result = run(pytester, *how.split())

    assert result.ret == 0
    found = seeds_that_ran(pytester)
    for name, decided_at in ("eight", 8), ("twelve", 10), ("turning", 7):
        assert set(found[name]) == set(range(32))
        entry = evidence(pytester)[f"lab/{name}"]
        assert entry["judgement"] == fully_judged(entry, name)
        assert entry["judgement"]["decided_at"] == decided_at  # seeds beyond it are shown, never used
        assert len(entry["observations"]) == 2 * 32
    result.stdout.fnmatch_lines(["memkit: *so every seed runs, even after the verdict"])
    result.stdout.no_fnmatch_line("*each claim stops at its verdict*")


def test_without_claims_the_chosen_scheduler_is_used(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        def pytest_sessionfinish(session):
            if not hasattr(session.config, "workerinput"):
                scheduler = session.config.pluginmanager.get_plugin("dsession").sched
                original = type(scheduler.original).__name__
                print("sent look by look:", scheduler.active, original, scheduler.unassigned_count)
    """)
    pytester.makepyfile("import pytest\n\n@pytest.mark.parametrize('x', range(9))\ndef test_plain(x):\n    pass\n")

    for how, name in {"load": "LoadScheduling", "loadfile": "LoadFileScheduling"}.items():
        result = run(pytester, "-n2", f"--dist={how}")
        result.assert_outcomes(passed=9)
        result.stdout.fnmatch_lines([f"*sent look by look: False {name} 0"])
        result.stdout.no_fnmatch_line("memkit: *")
