"""The tables of verdicts: no line is too long, colour adds no information, and names do not break the markup."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from memkit.evidence import ClaimEvidence, Verdict
from memkit.evidence.reports import markdown_table, terminal_table, verdict_row, verdict_rows
from memkit.statistics import Capital

from . import samples

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def claims() -> tuple[ClaimEvidence, ...]:
    return (*samples.everything().claims, samples.hostile())


@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 109, 110, 140, 250])
@pytest.mark.parametrize("ascii", [False, True])
def test_no_line_is_longer_than_the_terminal(claims: Any, width: int, ascii: bool) -> None:
    for line in terminal_table(claims, width=width, ascii=ascii):
        assert len(line) <= width
        assert line == line.rstrip()
        assert line.isprintable()


@pytest.mark.parametrize("width", [80, 140])
def test_colour_adds_nothing_but_colour(claims: Any, width: int) -> None:
    coloured = terminal_table(claims, width=width, colour=True)
    plain = terminal_table(claims, width=width)
    assert coloured != plain
    assert [ESCAPE.sub("", line) for line in coloured] == plain


@pytest.mark.parametrize("width", [80, 140])
def test_an_ascii_table_has_only_ascii_characters(claims: Any, width: int) -> None:
    text = "\n".join(terminal_table(claims, width=width, ascii=True))
    assert text.isascii()
    assert "[-inf, +inf]" in text
    assert "1 seed cannot decide; Student's t needs 8" in text


@pytest.mark.parametrize(("ascii", "text"), [(False, " ∞ of 40 "), (True, " inf of 40 ")])
def test_an_infinite_capital_is_shown(ascii: bool, text: str) -> None:
    entry = samples.refuted()
    (finding,) = entry.judgement.findings
    rich = replace(finding, capital=Capital(0.0, math.inf, None))
    entry = replace(entry, judgement=replace(entry.judgement, findings=(rich,)))
    assert text in "\n".join(terminal_table([entry], width=80, ascii=ascii))


def test_no_claims_give_no_table() -> None:
    assert terminal_table([], width=80) == []


def test_only_decided_claims_are_coloured() -> None:
    """No verdict is green, because a verdict is not a success."""
    text = "\n".join(terminal_table(samples.everything().claims, width=80, colour=True))
    assert "32m" not in text
    assert "\x1b[1m? INCONCLUSIVE\x1b[0m" in text


@pytest.mark.parametrize("width", [80, 140])
def test_every_verdict_with_its_interval_and_capital_is_in_the_text(width: int) -> None:
    evidence = samples.everything()
    text = "\n".join(terminal_table(evidence.claims, width=width))
    for verdict in Verdict:
        assert verdict.value in text
    for row in verdict_rows(evidence):
        if row.weakest is not None:
            assert row.weakest.estimate in text
            assert f"{row.weakest.interval} " in text
            assert f" {row.weakest.capital} " in text
        assert f"{row.used}/{row.planned}" in text


def test_a_wide_terminal_shows_every_contrast_and_a_narrow_one_the_weakest() -> None:
    entry = samples.supported()
    wide, narrow = ("\n".join(terminal_table([entry], width=width)) for width in (140, 80))
    assert "dynamic over static" in wide
    assert "dynamic over 0.2" in wide
    assert "weakest of 2 contrasts: dynamic over static" in narrow


@pytest.mark.parametrize("width", [80, 140])
def test_notes_that_qualify_a_verdict_are_in_the_text(width: int) -> None:
    text = " ".join(" ".join(terminal_table(samples.everything().claims, width=width)).split())
    for word in (
        "normal theory",
        "negligible",
        "indicates SUPPORTED",
        "development seeds decide nothing",
        "unregistered",
        "least effect 0.1",
        "seeds needed",
        "64 of 40",
        "missing: 3 seeds",
        "expected equivalent",
        "expected supported: FAILED",
        "gates nothing",
        "31 % with 8 seeds and 9 % with 32 seeds",
        "Capital: what bets on the verdict",
    ):
        assert word in text


def test_used_and_planned_seeds_are_shown() -> None:
    row = verdict_row(samples.adaptive())
    assert (row.used, row.planned, row.saved) == (7, 32, 24), "the eighth seed was measured, but not needed"
    text = " ".join(" ".join(terminal_table([samples.adaptive()], width=80)).split())
    assert " 7/32 " in text
    assert "Seeds: used/at most; a claim stops once it is decided. Even if no seed collapsed" in text
    assert "missing" not in text
    assert "7/32" in markdown_table(samples.evidence(samples.adaptive()))
    complete = verdict_row(samples.supported())
    assert (complete.used, complete.planned, complete.saved) == (8, 32, 0), "all seeds ran"
    assert "used/at most" not in " ".join(terminal_table([samples.supported()], width=80))


def test_one_seed_has_no_collapse_rate() -> None:
    assert "collapse" not in " ".join(terminal_table([samples.unbounded()], width=80))


@pytest.mark.parametrize("width", [80, 140])
def test_a_claim_that_stopped_for_futility_says_so(width: int) -> None:
    entry = samples.futile()
    assert (entry.verdict, entry.judgement.decided_at) == (Verdict.INCONCLUSIVE, None)
    text = " ".join(" ".join(terminal_table([entry], width=width)).split())
    assert "stopped at 16 of 32 seeds, as further seeds like these have a chance of a verdict below 5 %" in text


def test_a_mutant_that_failed_clearly_is_only_counted() -> None:
    entry = samples.broken()
    assert (entry.verdict, entry.gate.outcome) == (Verdict.INCONCLUSIVE, "passed")
    assert verdict_row(entry).notes == ("the effect of the mutant is shown to be smaller than any that would matter",)
    text = " ".join(terminal_table([entry, samples.supported()], width=80))
    assert "growth/no-difference" not in text
    assert "1 mutant, a claim with an arm broken on purpose, failed as it should." in " ".join(text.split())


def test_normal_theory_has_no_capital() -> None:
    text = "\n".join(terminal_table([samples.normal_theory()], width=80))
    assert "normal theory" in text
    assert "Capital:" not in text
    assert "normal theory" in markdown_table(samples.evidence(samples.normal_theory()))


def test_a_long_id_keeps_its_ends() -> None:
    text = "\n".join(terminal_table([samples.inconclusive()], width=60))
    assert "binding/the-curri" in text
    assert "combinations" in text
    assert "…" in text


def test_a_claim_that_never_ran_has_a_row_without_numbers() -> None:
    row = verdict_row(samples.unseen())
    assert (row.verdict, row.used, row.planned) == (Verdict.INCOMPLETE, 0, 32)
    assert row.effects == ()
    assert row.weakest is None
    assert row.collapse_bound is None


def test_digits_follow_the_width_of_the_interval() -> None:
    rows = {row.claim: row for row in verdict_rows(samples.everything())}
    small = rows["intervention/published-regime-over-random"].weakest
    assert small is not None
    assert re.fullmatch(r"\+0\.\d{4}", small.estimate)
    one = rows["growth/one-seed"].weakest
    assert one is not None
    assert (one.estimate, one.interval, one.capital) == ("+12.50", "[-∞, +∞]", "normal theory")


def test_markdown_starts_with_the_gate_and_lists_what_failed() -> None:
    text = markdown_table(samples.everything())
    assert text.startswith("**Gate failed: 4 passed, 2 failed, 3 gate nothing.**\n")
    assert "- growth/growing-preserves-the-function: seed 10003 failed" in text


def test_markdown_rows_all_have_the_same_cells_whatever_the_names() -> None:
    text = markdown_table(samples.evidence(samples.hostile(), samples.supported(), samples.unseen()))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert cells == {11}
    assert "<" not in text
    assert "\x1b" not in text
    assert "b\\|c d" in text


def test_markdown_without_claims() -> None:
    assert markdown_table(samples.evidence()) == "**No claims.**\n"
