"""Recomputing evidence: verdicts, which reveals falsified files, without torch; and the table of observations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence import judge, recompute

from .entries import MANY, entry, evidence


def doctor(path: Path, at: int, *keys: str | int, value: Any) -> tuple[str, str]:
    """Change one value in the file, and return the recorded and the recomputed verdict of the claim."""
    data = json.loads(path.read_text())
    inner = data["claims"][at]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(data))
    _, recorded, recomputed = recompute(path)[at]
    return recorded, recomputed


# --- doctoring ----------------------------------------------------------------------------------------------


def test_a_doctored_verdict_is_found(file: Path) -> None:
    assert doctor(file, 0, "judgement", "verdict", value="REFUTED") == ("REFUTED", "SUPPORTED")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("judgement", "decided_at"), 16),
        (("judgement", "n"), 16),
        (("judgement", "notes"), ["all is well"]),
        (("judgement", "findings", 0, "estimate"), 0.5),
        (("judgement", "findings", 0, "interval", "low"), 0.97),
        (("judgement", "findings", 0, "interval", "high_level"), 0.9),
        (("judgement", "findings", 0, "capital", "above"), 1e6),
        (("judgement", "findings", 0, "needed", "support"), 20),
        (("judgement", "findings", 0, "negligible"), True),
        (("judgement", "findings"), []),
        (("observations", 0, 3), 0.9),
        (("observations", 0, 3), None),
    ],
)
def test_a_doctored_judgement_or_observation_is_found(file: Path, keys: tuple[Any, ...], value: Any) -> None:
    recorded, recomputed = doctor(file, 0, *keys, value=value)
    assert recomputed != recorded
    assert recomputed == f"{recorded} (intervals differ)"


def test_doctored_observations_that_turn_the_verdict_are_found(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    exchanged = [[seed, {"a": "b", "b": "a"}[arm], *rest] for seed, arm, *rest in rows]
    assert doctor(file, 0, "observations", value=exchanged) == ("SUPPORTED", "REFUTED")


def test_an_observation_that_was_removed_is_found(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    assert doctor(file, 0, "observations", value=rows[2:]) == ("SUPPORTED", "INCOMPLETE")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("claim", "contrasts", 0, "bounds"), [-0.001, 1]),
        (("claim", "contrasts", 0, "sesoi"), 0.11),
        (("claim", "contrasts", 0, "margin"), 0.001),
        (("claim", "arms", "a", "recipe", "steps"), 10),
        (("claim", "expect"), "open"),
        (("digest",), "0" * 32),
    ],
)
def test_a_doctored_claim_is_found_by_its_digest(file: Path, keys: tuple[Any, ...], value: Any) -> None:
    recorded, recomputed = doctor(file, 0, *keys, value=value)
    assert recomputed == f"{recorded} (the claim's digest differs)"


def test_another_order_of_the_seeds_is_found(file: Path) -> None:
    planned = json.loads(file.read_text())["claims"][0]["planned"]
    recorded, recomputed = doctor(file, 0, "planned", value=planned[::-1])
    assert recomputed == f"{recorded} (the seeds are not those of the registration)"


def test_a_doctored_outcome_is_found(file: Path) -> None:
    data = json.loads(file.read_text())["claims"]
    assert data[2]["outcome"]["outcome"] == "failed", "or this test shows nothing"
    recorded, recomputed = doctor(file, 2, "outcome", "outcome", value="passed")
    assert recomputed == f"{recorded} (the outcome differs)"


def test_two_observations_of_one_seed_are_refused(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    with pytest.raises(MemkitError, match="two observations of the same seed, arm and metric"):
        doctor(file, 0, "observations", value=[*rows, [10_000, "a", "accuracy", 0.9, ""]])


def test_observations_of_unplanned_seeds_are_refused(file: Path) -> None:
    rows = json.loads(file.read_text())["claims"][0]["observations"]
    with pytest.raises(MemkitError, match="observations of seed 77, which was not planned"):
        doctor(file, 0, "observations", value=[*rows, [77, *rows[0][1:]]])


# --- without torch ------------------------------------------------------------------------------------------

BLOCK = "import sys; sys.modules['torch'] = None; from memkit.cli import main; sys.exit(main(sys.argv[1:]))"


def verdicts(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK, "verdicts", str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_verdicts_are_recomputed_without_torch(file: Path) -> None:
    done = verdicts(file)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"all {len(MANY.claims)} verdicts follow from the observations" in done.stdout
    doctor(file, 0, "judgement", "verdict", value="INCONCLUSIVE")
    done = verdicts(file)
    assert (done.returncode, done.stderr) == (1, "")
    assert "DIFFERS: the file says INCONCLUSIVE" in done.stdout


# --- the table ----------------------------------------------------------------------------------------------


def test_the_frame_is_tidy() -> None:
    early = entry("study/early", n=16)
    n = early.judgement.n
    assert n < 16
    part = entry("study/part")
    rows = tuple(o for o in part.observations if o.seed != 10_003)
    part = replace(part, observations=rows, judgement=judge(part.claim, rows, planned=part.planned))
    whole = evidence(early, entry("other/diverged", diverged=2), part)
    frame = whole.to_frame()
    assert whole.to_csv() == frame.to_csv(index=False), "the file holds what the frame does"
    assert list(frame.columns) == [
        "study",
        "claim",
        "seed",
        "arm",
        "metric",
        "value",
        "reason",
        "used",
        "verdict",
    ]
    assert len(frame) == 2 * 16 + 2 * 8 + 2 * 7
    assert not frame.duplicated(["claim", "seed", "arm", "metric"]).any()
    assert frame["value"].dtype == float
    assert frame["value"].isna().sum() == 1
    assert frame.loc[frame["value"].isna(), "reason"].tolist() == ["nan at step 3"]
    assert set(frame.loc[(frame["claim"] == "study/early") & frame["used"], "seed"]) == set(range(10_000, 10_000 + n))
    incomplete = frame[frame["claim"] == "study/part"]
    assert (incomplete["verdict"] == "INCOMPLETE").all()
    used = set(incomplete.loc[incomplete["used"], "seed"])
    assert used == {10_000, 10_001, 10_002}, "the interval shown rests on the seeds before the first that is missing"
    assert set(frame["study"]) == {"study", "other"}


def test_the_frame_of_nothing_has_its_columns() -> None:
    assert len(evidence().to_frame().columns) == 9
