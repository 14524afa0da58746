"""Pages: the blocks between marks are written from the accepted verdicts; everything else is left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memkit import MemkitError
from memkit.evidence.accepted_verdicts import accepted_claims, load_accepted, save_accepted
from memkit.evidence.reports import pages
from memkit.evidence.reports.pages import rewrite_blocks
from memkit.evidence.reports.words import format_number
from memkit.scheduling.estimates import recipe_key
from tests.evidence.reports import samples

PAGE = """# A study

Prose.

<!-- memkit: summary {study} -->
<!-- memkit: end -->

<!-- memkit: {file} -->
old
<!-- memkit: end -->

More prose.
"""


@pytest.fixture(scope="module")
def accepted() -> dict[str, Any]:
    """The registered sample claims that passed, as if they were in one file of one study."""
    from dataclasses import replace

    everything = samples.everything()
    passed = [e for e in everything.claims if e.gate.outcome == "passed" and e.registration.status == "registered"]
    assert len(passed) > 2
    found = accepted_claims(replace(everything, claims=tuple(passed)), recipe_key)
    return {
        f"lab/{name.split('/', 1)[1]}": {**claim, "nodeid": "claims/test_x.py::test_y"} for name, claim in found.items()
    }


def test_blocks_are_written_and_prose_is_left(accepted: dict[str, Any]) -> None:
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), accepted)
    assert written.startswith("# A study\n\nProse.\n\n<!-- memkit: summary lab -->\n")
    assert written.endswith("<!-- memkit: end -->\n\nMore prose.\n")
    assert "\nold\n" not in written
    assert f"{len(accepted)} claims: " in written
    for name, claim in accepted.items():
        assert f"`{name}`" in written
        for finding in claim["judgement"]["findings"]:
            if finding["role"] == "contrast":
                assert format_number(finding["estimate"], 2).replace("-", "−") in written
    assert rewrite_blocks(written, accepted) == written


def test_every_effect_has_one_interval(accepted: dict[str, Any]) -> None:
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), accepted)
    assert "| Claim | Source | Measured | Effect, interval | Verdict |" in written
    assert "dynamic over static: +0.79, [+0.06, +0.89]<br>dynamic over 0.2: +0.77, [+0.38, +0.79] |" in written
    assert "(normal theory)" in written


def test_a_limit_that_is_infinite_and_a_clipped_metric_are_shown(accepted: dict[str, Any]) -> None:
    name = next(name for name, claim in accepted.items() if claim["judgement"]["verdict"] == "REFUTED")
    judgement = accepted[name]["judgement"]
    (finding,) = judgement["findings"]
    finding = {
        **finding,
        "interval": {"method": "student-t", "low": None, "high": None},
        "notes": ["the metric is clipped to 0 to 1, which concerns 2 of 10 seeds"],
    }
    claim = {**accepted[name], "judgement": {**judgement, "findings": [finding]}}
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), {name: claim})
    assert "−0.55, [−∞, +∞] | ✗ REFUTED (clipped metric)" in written


def test_a_result_that_was_accepted_by_two_intervals_shows_the_betting_interval(
    accepted: dict[str, Any], tmp_path: Path
) -> None:
    """Findings of earlier versions have two intervals, and neither capital nor levels."""
    earlier = {}
    for name, claim in accepted.items():
        findings = []
        for finding in claim["judgement"]["findings"]:
            new = {key: value for key, value in finding.items() if key not in ("interval", "capital", "needed")}
            t = {"method": "student-t", "low": 0.125, "high": 0.25, "level": 0.9901}
            betting = {"method": "betting", "low": 0.0625, "high": 0.75, "level": 0.95}
            findings.append({**new, "intervals": [t, betting]})
        earlier[name] = {**claim, "judgement": {**claim["judgement"], "findings": findings}}
    save_accepted(tmp_path / "accepted.json", earlier)
    read = load_accepted(tmp_path / "accepted.json")
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), read)
    assert "dynamic over static: +0.79, [+0.06, +0.75]" in written
    assert "active over random: +0.006, [+0.125, +0.250]" in written, "Student’s t decided this one"


def test_a_sweep_with_several_controls_has_one_interval_per_cell(accepted: dict[str, Any]) -> None:
    name = next(name for name, claim in accepted.items() if len(claim["judgement"]["findings"]) == 2)
    cells = {f"lab/x/{k}": {**accepted[name], "sweep": "lab/x", "cell": {"k": k}} for k in (16, 8)}
    written = rewrite_blocks("<!-- memkit: comparisons lab/x -->\n<!-- memkit: end -->", cells)
    assert "Effects in accuracy, with their intervals." in written
    assert "| k 8 | ✓ +0.79 \\[+0.06, +0.89\\] | ✓ +0.77 \\[+0.38, +0.79\\] |" in written


def test_every_row_of_a_table_has_as_many_cells(accepted: dict[str, Any]) -> None:
    hostile = {name: {**claim, "source": "a | b <script> *c* _d_\n| e"} for name, claim in accepted.items()}
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), hostile)
    assert "<script" not in written
    for line in written.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|") - 1
            assert cells in (5, 7)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("<!-- memkit: summary lab -->\n", "«summary lab» has no end"),
        ("<!-- memkit: summary lab -->\n<!-- memkit: claims/test_x.py -->\n<!-- memkit: end -->", "has no end"),
        ("<!-- memkit: claims/test_z.py -->\n<!-- memkit: end -->", "no claim of claims/test_z.py has been accepted"),
        ("<!-- memkit: summary other -->\n<!-- memkit: end -->", "no claim of the study 'other'"),
        ("<!-- memkit: summary lab -->\n<!-- memkit: end -->", "is in no block; add <!-- memkit: claims/test_x.py"),
    ],
)
def test_mistakes_are_explained(accepted: dict[str, Any], page: str, message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        rewrite_blocks(page, accepted)


def test_accepted_verdicts_survive_the_file(accepted: dict[str, Any], tmp_path: Path) -> None:
    save_accepted(tmp_path / "accepted.json", accepted)
    assert load_accepted(tmp_path / "accepted.json") == accepted
    assert load_accepted(tmp_path / "none.json") == {}
    (tmp_path / "accepted.json").write_text("{")
    with pytest.raises(MemkitError, match="is damaged"):
        load_accepted(tmp_path / "accepted.json")


def test_means_are_over_the_used_seeds(accepted: dict[str, Any]) -> None:
    everything = samples.everything()
    for entry in everything.claims:
        claim = accepted.get(f"lab/{entry.claim.id.split('/', 1)[1]}")
        if claim is None:
            continue
        used = set(entry.observed_seeds[: entry.judgement.n])
        for arm, metrics in claim["means"].items():
            for metric, (mean, least, greatest) in metrics.items():
                values = [o.value for o in entry.observations if (o.arm, o.metric) == (arm, metric) and o.seed in used]
                if mean is not None:
                    assert mean == pytest.approx(sum(values) / len(values), abs=1e-5)
                    assert (least, greatest) == pytest.approx((min(values), max(values)), abs=1e-5)


def test_settings_are_sorted_by_their_numbers() -> None:
    names = ["k 16", "k 8", "none", "step 0.5", "step 0.05", "capacity 1000, fifo", "capacity 250, fifo"]
    expected = ["capacity 250, fifo", "capacity 1000, fifo", "k 8", "k 16", "none", "step 0.05", "step 0.5"]
    assert sorted(names, key=pages._by_number) == expected


def test_a_claim_that_did_not_run_is_not_accepted() -> None:
    from dataclasses import replace

    everything = samples.everything()
    idle = replace(everything.claims[0], observations=(), failures=())
    assert accepted_claims(replace(everything, claims=(idle,)), recipe_key) == {}


REPLICATED = "<!-- memkit: replications lab -->\n<!-- memkit: end -->\n"


def test_replications_stand_beside_their_claims(accepted: dict[str, Any]) -> None:
    name, claim = next((n, c) for n, c in accepted.items() if c["judgement"]["verdict"] == "SUPPORTED")
    replication = {**claim, "replicates": name}
    written = rewrite_blocks(REPLICATED, {**accepted, f"{name}/mlx": replication})
    assert "1 claim was replicated on another backend: 1 holds in both." in written
    (row,) = [line for line in written.splitlines() if f"`{name.split('/', 1)[1]}`" in line]
    assert row.count("✓ SUPPORTED") == 2
    assert row.endswith("| in both |")
    assert "MLX, n = " in row
    # A replication needs no block of its own and is not counted as a claim.
    page = PAGE.format(study="lab", file="claims/test_x.py")
    assert rewrite_blocks(page, {**accepted, f"{name}/mlx": replication}) == rewrite_blocks(page, accepted)


def test_missing_replications_and_claims_are_explained(accepted: dict[str, Any]) -> None:
    with pytest.raises(MemkitError, match="no replication of a claim of the study 'lab' has been accepted"):
        rewrite_blocks(REPLICATED, accepted)
    name, claim = next(iter(accepted.items()))
    with pytest.raises(MemkitError, match="but not the claim that it replicates, lab/gone"):
        rewrite_blocks(REPLICATED, {f"{name}/mlx": {**claim, "replicates": "lab/gone"}})


def test_earlier_attempts_stand_below_the_source(accepted: dict[str, Any], tmp_path: Path) -> None:
    name, claim = next(
        (name, claim) for name, claim in accepted.items() if not claim["sweep"] and not claim["mutant_of"]
    )
    earlier = [{"block": 0, "verdict": "INCONCLUSIVE", "n": 32, "date": "2026-05-01"}, {"block": 1}]
    claims = {**accepted, name: {**claim, "attempt": 3, "earlier": earlier}}
    save_accepted(tmp_path / "accepted.json", claims)
    assert load_accepted(tmp_path / "accepted.json") == claims
    written = rewrite_blocks(PAGE.format(study="lab", file="claims/test_x.py"), claims)
    assert "<br>Earlier attempts: 1: INCONCLUSIVE, n = 32, 2026-05-01; 2: not recorded |" in written
    save_accepted(tmp_path / "accepted.json", {name: {**claim, "earlier": [{"block": 0, "verdict": "YES"}]}})
    with pytest.raises(MemkitError, match="'YES' is not a verdict"):
        load_accepted(tmp_path / "accepted.json")
