"""Numbers in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Verdict
from memkit.evidence.origin import Mutant
from memkit.evidence.reports import words
from memkit.statistics import Capital, Thresholds

from . import samples


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.8, 2, "+0.80"),
        (-0.0001, 2, "+0.00"),
        (0.0, 3, "+0.000"),
        (-1.5, 1, "-1.5"),
        (math.inf, 2, "+∞"),
        (-math.inf, 2, "-∞"),
        (math.nan, 2, "n/a"),
        (-2.5e9, 2, "-2.50e+09"),
    ],
)
def test_a_number_has_the_given_decimals_and_a_sign(value: float, places: int, text: str) -> None:
    assert words.format_number(value, places) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(None, "n/a"), (math.nan, "n/a"), (1e-9, "< 0.0001"), (0.0123, "0.012"), (0.5, "0.50"), (1, "1.00")],
)
def test_a_p_value_has_two_digits_or_a_limit(p: float | None, text: str) -> None:
    assert words.p_value(p) == text


@pytest.mark.parametrize("width", range(12))
def test_elided_text_fits_and_keeps_its_ends(width: int) -> None:
    text = words.elide("binding/x", width)
    assert len(text) <= width
    assert text[:1] == "b"[:width]


def test_the_weakest_contrast_is_the_one_nearest_to_its_margin() -> None:
    findings = words.contrast_findings(samples.supported())
    assert words.weakest(findings) is findings[0]
    assert words.weakest(findings[::-1]) is findings[0]
    assert words.weakest([]) is None


def test_a_missing_seed_does_not_make_another_seed_count_as_used() -> None:
    """Of 32 planned seeds, 10003, 10006 and 10007 were not observed; the findings use the three before the gap."""
    entry = samples.incomplete()
    assert words.used_seeds(entry) == (10_000, 10_001, 10_002)
    assert entry.judgement.n == 3


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (samples.adaptive(), "Decided at n = 7 of at most 32."),
        (samples.normal_theory(), "Decided at n = 8 of at most 32."),
        (samples.broken(), "Decided at n = 22 of at most 32."),
        (
            samples.futile(),
            "Stopped at n = 16 of at most 32, because further seeds like these have hardly any chance of deciding the "
            "claim.",
        ),
        (samples.supported(planned=8), "Decided at n = 8, the planned maximum."),
        (samples.inconclusive(), "Undecided after the last look, at 32 seeds."),
        (samples.incomplete(), "Not judged: observations are missing or unusable, or a precondition does not hold."),
        (samples.development(), "The decision rule stopped at n = 8 of at most 32, but these seeds decide nothing."),
        (samples.unbounded(), "1 seed cannot decide anything; the rule needs 8."),
    ],
)
def test_the_sentence_says_why_the_claim_ended(entry: ClaimEvidence, sentence: str) -> None:
    assert words.stopping_sentence(entry) == sentence


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        (samples.adaptive(), "7 used of at most 32 (10000–10006), 1 more measured but not used, 24 never needed."),
        (samples.supported(), "8 used of at most 32 (10000–10007), 24 more measured but not used."),
        (samples.unseen(), "0 used of at most 32. Missing: 10000–10007."),
        (
            samples.incomplete(),
            "3 used of at most 32 (10000–10002), 26 more measured but not used. Missing: 10003, 10006–10007.",
        ),
    ],
)
def test_the_seeds_of_a_claim(entry: ClaimEvidence, counts: str) -> None:
    assert words.seed_counts(entry) == counts


def test_saved_seeds_are_counted_over_claims_whose_looks_ended() -> None:
    assert words.savings([]) == ""
    assert words.savings([samples.supported(), samples.unseen()]) == ""
    sentence = words.savings([samples.supported(), samples.adaptive(), samples.unseen()])
    assert sentence == "24 of at most 64 seeds (38 %) were never needed"


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        (16, "at most 16 per claim"),
        (12, "at most 12 per claim"),
        ("as each claim declares", "as each claim declares"),
    ],
)
def test_the_seeds_option_is_explained(seeds: object, text: str) -> None:
    assert words.seeds_option(seeds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.7412, 0.86, "[+0.74, +0.86]"),
        (0.0, 0.25, "[+0.00, +0.25]"),
        (0.0012, 0.25, "[+0.001, +0.25]"),
        (-0.00004, 0.25, "[-0.00004, +0.25]"),
        (-math.inf, 1e-12, "[-∞, +0.000000]"),
    ],
)
def test_a_limit_that_is_not_zero_does_not_read_as_zero(low: float, high: float, text: str) -> None:
    assert words.format_interval(low, high, 2) == text


def test_the_difference_and_the_falsifier_follow_the_direction() -> None:
    higher = Contrast("a", over="b", metric="accuracy", bounds=(0, 1), sesoi=0.1)
    lower = Contrast("a", over=0.95, metric="accuracy", bounds=(0, 1), direction="lower", sesoi=0.1)
    assert (words.difference(higher), words.difference(lower)) == ("a − b", "0.95 − a")
    claim = Claim(
        id="s/open", statement="What is it?", arms={"a": Arm(), "b": Arm()}, contrasts=(higher, lower), expect="open"
    )
    assert words.falsifier(claim, Thresholds()).close == (
        "It is equivalent if all differences are shown to lie inside ±0.1."
    )
    assert words.falsifier(replace(claim, contrasts=(replace(higher, sesoi=None),)), Thresholds()).close == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "< 0.01"),
        (0.029, "0.02"),
        (3.47, "3.4"),
        (39.999, "39"),
        (40 * (1 - 1e-12), "40"),
        (28_440.2, "28440"),
        (6.6e8, "6.6e+08"),
        (math.inf, "∞"),
    ],
)
def test_a_capital_is_never_rounded_up_to_what_is_needed(value: float, text: str) -> None:
    assert words.capital(value) == text


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (samples.supported(), "64 of 40"),
        (samples.equivalent(), "41 of 20"),
        (samples.refuted(), "47 of 40"),
        (samples.normal_theory(), "normal theory"),
    ],
)
def test_the_capital_shown_is_that_of_the_verdict(entry: ClaimEvidence, text: str) -> None:
    assert words.closest_capital(words.contrast_findings(entry)[0]) == text


def test_an_undecided_contrast_shows_the_capital_that_is_closest_to_a_verdict() -> None:
    (finding,) = words.contrast_findings(samples.inconclusive())
    shares = {Verdict.SUPPORTED: (30.0, 80.0), Verdict.REFUTED: (0.1, 80.0), Verdict.EQUIVALENT: (2.0, 40.0)}
    won = Capital(*(won for won, _ in shares.values()))
    assert words.capitals(replace(finding, capital=won)) == shares
    assert words.closest_capital(replace(finding, capital=won)) == "30 of 80"
    assert words.closest_capital(replace(finding, capital=Capital(2.0, 0.0, 30.0))) == "30 of 40"
    assert words.closest_capital(replace(finding, capital=Capital(0.0, math.inf, None))) == "∞ of 80"


def test_each_limit_has_its_level() -> None:
    first, *_ = words.contrast_findings(samples.supported())
    assert words.limit_levels(first.interval) == "lower limit at 97.5 %, upper limit at 98.75 %"
    (finding,) = words.contrast_findings(samples.equivalent())
    assert words.limit_levels(finding.interval) == "each limit at 95 %"


def test_the_falsifier_names_what_each_attempt_needs() -> None:
    contrasts = tuple(Contrast("a", over=over, metric="accuracy", bounds=(0, 1), sesoi=0.1) for over in "bc")
    claim = Claim(id="s/a", statement="A is best.", arms=dict.fromkeys("abc", Arm()), contrasts=contrasts)
    first, second = words.falsifier(claim, Thresholds()), words.falsifier(claim, Thresholds(attempt=2))
    assert first.lead == "It is refuted as soon as any of these is shown:"
    assert first.items[1] == "accuracy of a is below accuracy of c, by a capital of 80"
    assert second.items[1] == "accuracy of a is below accuracy of c, by a capital of 160"
    assert first.close == "It also fails if it is still inconclusive with 32 seeds, or if equivalence is shown first."
    # A claim is equivalent only if all its contrasts are.
    one = replace(claim, contrasts=(contrasts[0], replace(contrasts[1], sesoi=None)))
    assert words.falsifier(one, Thresholds()).close == "It also fails if it is still inconclusive with 32 seeds."
    false = replace(claim, expect="not_supported")
    assert words.falsifier(false, Thresholds()).items[0] == "accuracy of a is above accuracy of b, by a capital of 40"
    assert words.falsifier(false, Thresholds()).close == ""
    assert "merely undecided" in words.falsifier(replace(false, origin=Mutant("s/a")), Thresholds()).close


def test_short_notes_qualify_the_numbers() -> None:
    (finding,) = words.contrast_findings(samples.inconclusive())
    clipped = replace(finding, contrast=replace(finding.contrast, clip=True), negligible=True)
    planning = {"mde": 0.1234, "seeds_needed": 40.2, "least_constant": 0.1}
    assert words.short_notes(replace(clipped, planning=planning)) == (
        "negligible",
        "clipped to 0 to 1",
        "least effect 0.123",
        "seeds needed 41",
    )


def test_a_mutant_says_that_it_has_to_fail() -> None:
    over = Contrast("a, b", over="b", metric="m", bounds=(0, 1))
    claim = Claim(id="s/a", statement="A beats b.", arms={"a, b": Arm(), "b": Arm()}, contrasts=(over,))
    broken = replace(
        claim, origin=Mutant("s/a"), statement="Broken on purpose, a, b with its never written: A beats b."
    )
    assert words.statement(claim) == "A beats b."
    assert words.statement(broken) == "Must fail, because a, b was broken on purpose (never written): A beats b."
