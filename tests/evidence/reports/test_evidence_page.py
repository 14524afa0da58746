"""The page is complete, self-contained, safe, well-formed and small."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from memkit.evidence import Arm, Claim, ClaimEvidence, Contrast, Evidence, Gate, Verdict
from memkit.evidence.attempt import Attempt, Outcome
from memkit.evidence.decision_rule import judgements_at_looks
from memkit.evidence.figures import Heatmap, Lines, Series, Table
from memkit.evidence.origin import Replication
from memkit.evidence.reports import markdown_table, render_html, words
from memkit.evidence.reports.levels import levels
from memkit.evidence.reports.plots.capital import capital_svg
from memkit.statistics import Thresholds

from . import samples

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """A parsed page, for the tests to inspect; parsing checks that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on")]
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given["href"] or "")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def html() -> str:
    return render_html(samples.everything())


def test_the_page_is_well_formed_and_its_links_lead_somewhere(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link.startswith("#")
        assert link[1:] in page.ids
    for entry in samples.everything().claims:
        assert entry.claim.id in page.ids


def test_headings_go_down_one_step_at_a_time(html: str) -> None:
    levels = Page(html).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_are_accessible(html: str) -> None:
    page = Page(html)
    assert page.tags["table"] == page.tags["caption"] > 9
    assert html.count("<th scope=") == page.tags["th"]
    assert page.tags["main"] == 1


def test_nothing_is_fetched_and_only_one_script_runs(html: str) -> None:
    page = Page(html)
    for tag in ("iframe", "img", "object", "embed", "form"):
        assert page.tags[tag] == 0
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert page.tags["script"] == 1
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'; img-src data:\"" in html, "no other script may run"
    assert not re.search(r"fetch|XMLHttpRequest|import\(|eval|innerHTML", script)
    assert re.findall(r"https?://[^\s\"']+", html.replace("http://www.w3.org/2000/svg", "")) == []
    assert "@import" not in html
    assert "url(" not in html


def test_the_top_of_the_page_gives_the_result_of_the_gate(html: str) -> None:
    text = " ".join(Page(html).text.split())
    assert "Gate failed: 4 passed, 2 failed, 3 gate nothing." in text
    assert "3f9c2ab417d06a55c1f0e9d7c8ab3321f0e4d9aa, with uncommitted changes" in text
    assert "22 November 2026, 18:30 UTC" in text
    assert "seeds 32, gate all" in text
    for verdict in Verdict:
        assert verdict.value in text


@pytest.mark.parametrize(
    "sentence",
    [
        "It is refuted as soon as any of these is shown:",
        "accuracy of dynamic is below accuracy of static, by a capital of 80",
        "accuracy of dynamic is less than 0.05 above the constant 0.2, by a capital of 80",
        "accuracy of active is below accuracy of random, by Student’s t",
        "It is registered as refuted, which is wrong if this is shown:",
        "loss jump of net2net is above loss jump of fresh, by a capital of 40",
        "32 seeds do not show that the difference between accuracy of slots and accuracy of lstm lies inside ±0.3",
        "It also fails if the positive control, slots over untrained, margin 0.3, is not supported.",
        "It also fails if it is still inconclusive with 32 seeds, or if equivalence is shown first.",
        "slots over untrained, margin 0.3 (positive control)",
        "Interval[+0.06, +0.89], lower limit at 97.5 %, upper limit at 98.75 %, n = 8",
        "Interval[−0.25, +0.25], each limit at 95 %, n = 12",
        "Interval[+0.0014, +0.0107], Student’s t, each limit at 99.5 %, n = 8",
        "Capital for SUPPORTED64 of 40",
        "Capital for REFUTED0.02 of 80",
        "Capital for EQUIVALENT41 of 20",
        "the probability that they ever make 40 of it is at most 1/40.",
        "Decided at n = 8 of at most 32.",
        "The decision rule stopped at n = 8 of at most 32, but these seeds decide nothing.",
        "1 seed cannot decide anything; the rule needs 8.",
        "Undecided after the last look, at 32 seeds.",
        "Development seeds: this verdict decides nothing.",
        "Normal theory: Student’s t decides, as was declared in advance",
        "Negligible: there is an effect",
        "Least effect0.186, which 32 seeds with this spread would have shown",
        "Least effect without spread0.167, which 32 seeds would have shown",
        "1 seed with a value that is not finite: it may be anything within the bounds",
        "8 used of at most 32 (10000–10007), 24 more measured but not used.",
        "a collapse in up to 31 % of seeds cannot be ruled out",
        "Missing: 10003, 10006–10007.",
        "failed: RuntimeError: worker gw1 crashed",
        "not finite: loss became nan at step 412",
        "registered, attempt 2, first seed 10000",
        "pytest claims/binding/test_binding.py::test_retrieval_needs_dynamic_memory",
        "memkit reproduce binding/retrieval-needs-dynamic-memory --seed 10000",
        "e-BH over 9 claims would declare the claim",
        "5 min 12 s of CPU time",
        "optimiser.lr",
        "research diary, 29 July 2025: 100 % against 17.71 %",
    ],
)
def test_a_claim_says(html: str, sentence: str) -> None:
    assert sentence in " ".join(Page(html).text.split())


@pytest.mark.parametrize("nodeid", ["--junitxml=x::test_a", "../evil/test_x.py::test_a", "/evil.py::a", "@x", "a\n::c"])
def test_no_command_is_offered_that_leads_out_of_the_project(nodeid: str) -> None:
    html = render_html(samples.evidence(replace(samples.inconclusive(), nodeid=nodeid)))
    text = " ".join(Page(html).text.split())
    assert "memkit reproduce" in text
    assert "pytest " not in text.partition("memkit reproduce")[0][-200:]


def test_seeds_that_were_never_needed_count_as_saved_and_not_as_missing() -> None:
    html = render_html(samples.evidence(samples.adaptive(), samples.inconclusive(), seeds=32))
    text = " ".join(Page(html).text.split())
    assert "Decided at n = 7 of at most 32." in text
    assert "7 used of at most 32 (10000–10006), 1 more measured but not used, 24 never needed." in text
    assert (
        "Seeds saved24 of at most 64 seeds (38 %) were never needed, because their claims were decided earlier" in text
    )
    assert "at most 32 per claim" in text
    assert "Values per seed (8)" in text
    assert "Missing" not in text
    assert "not run" not in text
    assert "CPU time per seed" in text
    assert "1 min 2 s" in text


def test_conclusions_have_three_parts() -> None:
    entries = (samples.supported(), samples.refuted(), samples.equivalent(), samples.inconclusive())
    evidence = replace(samples.evidence(*entries), studies={"binding": "First <b>.\n\nSecond."})
    html = render_html(evidence)
    text = " ".join(Page(html).text.split())
    start, middle = text.index("What the evidence shows"), text.index("The authors’ own view")
    shown, rest = text[start:middle], text[middle : text.index("Every crashed, diverged or missing seed.")]
    for entry in entries[:3]:
        assert entry.claim.statement in shown
    assert "Negative findings" in shown
    assert "Null findings" in shown
    assert entries[3].claim.statement not in shown
    assert entries[3].claim.statement in rest
    assert "<p>First &lt;b&gt;.</p>" in html
    assert "<p>Second.</p>" in html
    assert "The authors of these claims gave none." in render_html(samples.evidence(*entries))


def test_failures_are_listed_by_seed(html: str) -> None:
    text = " ".join(Page(html).text.split())
    start = text.index("Every crashed, diverged or missing seed.")
    failures = text[start : text.index(" measurements (one per claim and seed), ", start)]
    assert "growth/growing-preserves-the-functioncrashed10003RuntimeError: worker gw1 crashed" in failures
    assert "growth/growing-preserves-the-functionmissing10003, 10006–10007" in failures
    assert "not finite10020single: loss became nan at step 412" in failures
    assert "No seed crashed, diverged or is missing." in render_html(samples.evidence(samples.supported()))


def test_a_contrast_shows_every_look_and_what_other_methods_say() -> None:
    entry = samples.inconclusive()
    html = render_html(samples.evidence(entry))
    (table,) = re.findall(
        r'<table class="looks">\s*<caption>The interval and the capital of each bet.*?</table>', html, re.DOTALL
    )
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table) == [
        *("Seeds", "Estimate", "Interval", "Above", "Below", "Within ±0.05"),
    ]
    looks = judgements_at_looks(
        entry.claim, entry.observations, planned=entry.planned, thresholds=Thresholds(attempt=2)
    )
    assert re.findall(r'<th scope="row" class="n">(\d+)</th>', table) == [str(n) for n in range(8, 33, 4)]
    assert len(looks) == 7
    finding = looks[-1].findings[0]
    assert finding.capital is not None
    last = table.rpartition("<tr>")[2]
    assert words.format_interval(finding.interval.low, finding.interval.high, 2).replace("-", "−") in last
    for won in finding.capital:
        assert won is not None
        assert f'<td class="n">{words.capital(won).replace("<", "&lt;")}</td>' in last
    text = " ".join(Page(html).text.split())
    assert "What other methods say about the same seeds. They decide nothing." in text
    assert "Student’s t, 95 %31" in text, "31 of 32 differences are finite"
    assert "bootstrap, BCa, 95 %31" in text
    assert "Wilcoxon signed-rank test31p 0." in text


def test_the_looks_of_students_t_show_their_levels_and_no_capital() -> None:
    html = render_html(samples.evidence(samples.normal_theory()))
    (table,) = re.findall(r'<table class="looks">\s*<caption>The interval at each look.*?</table>', html, re.DOTALL)
    assert "capital" not in table
    assert "Above" not in table
    assert "each limit at 99.5 %" in table


def test_a_hyphen_in_the_name_of_a_metric_is_no_minus_sign() -> None:
    entry = samples.refuted()
    contrast = replace(entry.claim.contrasts[0], metric="held-out accuracy")
    (finding,) = entry.judgement.findings
    judgement = replace(entry.judgement, findings=(replace(finding, contrast=contrast),))
    observations = tuple(replace(o, metric=contrast.metric) for o in entry.observations)
    entry = replace(
        entry,
        claim=replace(entry.claim, contrasts=(contrast,)),
        judgement=judgement,
        observations=observations,
    )
    assert "<dd>−0.55 in held-out accuracy</dd>" in render_html(samples.evidence(entry))


def test_a_later_attempt_needs_more_capital_and_has_a_higher_level() -> None:
    text = " ".join(Page(render_html(samples.evidence(samples.inconclusive()))).text.split())
    assert "each limit at 98.75 %, n = 32" in text
    assert re.search(r"Capital for SUPPORTED[<\d. ]+ of 80", text)
    assert "by a capital of 80" in text


def test_a_claim_that_stopped_early_says_why() -> None:
    text = " ".join(Page(render_html(samples.evidence(samples.futile(), samples.broken()))).text.split())
    assert "Stopped at n = 16 of at most 32, because further seeds like these have hardly any chance" in text
    assert "Stopped at 16 of 32 seeds, as further seeds like these have a chance of a verdict below 5 %." in text
    assert "The effect of the mutant is shown to be smaller than any that would matter." in text
    assert "failed, as it should" in text
    assert "No claim was decided." in text, "the mutant is not counted"


def test_methods_and_threats_are_those_of_the_run(html: str) -> None:
    text = " ".join(Page(html).text.split())
    for sentence in (
        "9 claims, 2",
        "4 of 9 claims were decided, after 8 to 12 seeds; later seeds are shown, but not used.",
        "In 2 claims, Student’s t decides instead, as was declared in advance.",
        "with intervals at 99.01 %, 98.02 % and 97.03 %, which keep",
        "The code that ran had uncommitted changes.",
        "been changed and tested again on fresh seeds, up to attempt 2",
        "Even if none of them collapsed, a collapse in up to 31 % of seeds cannot be ruled out",
        "or on devices other than cpu",
    ):
        assert sentence in text, sentence
    clean = render_html(samples.evidence(samples.supported(), dirty=False))
    assert "Uncommitted changes" not in clean
    assert "Repeated attempts" not in clean
    assert "Looks of Student’s t" not in clean


def test_a_claim_whose_wording_was_edited_is_reported() -> None:
    claim = samples.supported()
    registration = replace(claim.registration, status="reworded", edited="statement, source")
    page = Page(render_html(samples.evidence(replace(claim, registration=registration))))
    text = " ".join(page.text.split())
    assert "was edited after registration, and the new wording is not registered" in text
    assert "reworded (statement, source), attempt 1, first seed 10000" in text
    assert "or edited since registration" not in text


def test_the_declarations_of_a_claim_are_shown() -> None:
    entry = samples.supported()
    claim = replace(entry.claim, deterministic=True, data=("data/table.csv",), environment=("FLAG", "OTHER"))
    page = render_html(samples.evidence(replace(entry, claim=claim)))
    assert "declared: all seeds may give the same values" in page
    assert "data: data/table.csv; environment: FLAG, OTHER" in page
    plain = render_html(samples.evidence(entry))
    assert "all seeds may give" not in plain
    assert "Depends on" not in plain


def test_saved_seeds_are_not_mentioned_if_there_are_none(html: str) -> None:
    assert "Seeds saved" not in html


def test_every_raw_value_is_shown(html: str) -> None:
    for observation in samples.supported().observations:
        assert f"<td>{observation.value:.6g}</td>" in html


def test_a_clipped_metric_and_seeds_that_are_not_finite_are_counted() -> None:
    over = Contrast("a", over="b", metric="loss", bounds=(0, 5), direction="lower", clip=True)
    claim = Claim(id="x/clip", statement="a is better.", arms=dict.fromkeys("ab", Arm()), contrasts=(over,))
    clipped = samples.make(claim, {"a": [0.0625, 0.125] * 8, "b": [9.0, 4.0] * 8})
    assert (clipped.verdict, clipped.judgement.n) == (Verdict.SUPPORTED, 7)
    text = " ".join(Page(render_html(samples.evidence(clipped))).text.split())
    assert "The metric is clipped to 0 to 5, which concerns 4 of 7 seeds." in text
    assert "clipped to 0 to 5" in markdown_table(samples.evidence(clipped))
    diverged = samples.make(claim, {"a": [math.nan] * 32, "b": [4.0, 3.0] * 16})
    assert diverged.verdict is Verdict.INCONCLUSIVE, "divergence can withhold a verdict, but not cause one"
    text = " ".join(Page(render_html(samples.evidence(diverged))).text.split())
    assert "32 seeds with a value that is not finite: it may be anything within the bounds" in text


def test_hostile_texts_are_shown_and_not_run() -> None:
    evidence = samples.evidence(
        samples.hostile(),
        **{samples.HOSTILE: samples.HOSTILE, "options": {samples.HOSTILE: [samples.HOSTILE]}},
    )
    html = render_html(evidence)
    page = Page(html)
    assert page.tags["script"] == 1
    assert page.text.count(samples.HOSTILE) > 10
    assert html.count("&lt;script&gt;") > 10


def test_figures_of_every_kind_are_shown() -> None:
    figures = (
        Heatmap("Read address", ("word",), ("slot",), ((0.5,),)),
        Lines("Reliability", "confidence", "accuracy", [Series("memory on", (0.1, 0.9), (0.2, 0.8))], identity=True),
        Table("Per class", ("precision", "unit"), [("cat", 0.98764, "share"), ("dog", None, None)]),
    )
    html = render_html(samples.evidence(replace(samples.supported(), figures=figures)))
    page = Page(html)
    for figure in figures:
        assert f"{figure.title}; seed 10000" in page.text
    assert "memory on: 0.2 at 0.1, 0.8 at 0.9" in page.text
    assert '<th scope="row">cat</th><td class="n">0.9876</td><td>share</td>' in html
    assert '<th scope="row">dog</th><td class="n">–</td><td>–</td>' in html
    assert '<th scope="col" class="n">precision</th><th scope="col">unit</th>' in html
    assert page.tags["table"] == page.tags["caption"]


def test_hostile_figures_are_shown_and_not_run() -> None:
    name = f"{samples.HOSTILE}'\"&\x00"
    figures = (
        Heatmap(name, (name,), (name,), ((0.5,),)),
        Lines(name, name, name, [Series(name, (1, 2), (1, 2))]),
        Table(name, [name], [(name, name)]),
    )
    html = render_html(samples.evidence(replace(samples.supported(), figures=figures)))
    page = Page(html)
    assert page.tags["script"] == 1
    assert page.text.count(samples.HOSTILE) >= 10


def test_no_claims_make_a_page() -> None:
    text = Page(render_html(samples.evidence())).text
    assert "No claims were run." in text


def test_a_file_without_provenance_or_observations_makes_a_page() -> None:
    evidence = Evidence(created="yesterday", provenance={}, claims=(samples.unseen(),))
    assert "yesterday" in Page(render_html(evidence)).text


def test_forty_claims_of_thirty_two_seeds_stay_small() -> None:
    """Under 5 MB. How quickly it is written is measured in benchmarks/, not here."""
    claims = []
    for k in range(40):
        claim = Claim(
            id=f"study-{k % 4}/claim-number-{k}",
            statement="The treatment is better than each of its controls.",
            arms={"treatment": samples.arm(), **{f"control-{i}": samples.arm(slots=i) for i in range(3)}},
            contrasts=tuple(
                Contrast("treatment", over=f"control-{i}", metric="accuracy", bounds=(0, 1)) for i in range(3)
            ),
        )
        values = {"treatment": samples.normal(k, 0.6, 0.2)}
        values |= {f"control-{i}": samples.normal(100 * k + i + 1, 0.5, 0.2) for i in range(3)}
        claims.append(samples.make(claim, values))
    html = render_html(samples.evidence(*claims))
    assert len(html.encode()) < 5_000_000
    Page(html)


def renamed(entry: ClaimEvidence, name: str, **changes: Any) -> ClaimEvidence:
    """The same claim under another id."""
    observations = tuple(replace(o, claim=name) for o in entry.observations)
    return replace(entry, claim=replace(entry.claim, id=name, **changes), observations=observations)


def test_a_page_of_many_claims_is_brief() -> None:
    many = tuple(renamed(samples.supported(), f"binding/claim-{n}") for n in range(31))
    brief, whole = render_html(samples.evidence(*many)), render_html(samples.evidence(*many[:30]))
    assert "There is one row per claim, for its weakest contrast" in brief
    assert "one row per claim" not in whole
    assert "<title>10000: " in whole
    assert "<title>10000: " not in brief


def test_a_page_shows_at_most_so_many_claims_but_counts_all() -> None:
    many = [renamed(samples.supported(), f"binding/claim-{n}") for n in range(6)]
    many[4] = replace(many[4], gate=Gate("failed", "a reason"))
    page = render_html(samples.evidence(*many), most=3)
    shown = re.findall(r'<article id="([^"]*)"', page)
    assert shown == ["binding/claim-4", "binding/claim-0", "binding/claim-1"]
    assert "This page shows 3 of 6 claims: first those that failed, then others in the order of the run." in page
    assert "<li><b>6</b>" in page
    assert samples.evidence(*many).digest in page
    assert "This page shows" not in render_html(samples.evidence(*many))


def test_a_replication_stands_beside_its_claim_and_is_no_claim_of_its_own() -> None:
    one = samples.supported()
    again = renamed(one, f"{one.claim.id}/mlx", origin=Replication(one.claim.id))
    page = render_html(samples.evidence(one, again))
    assert "1 claim was replicated in MLX: 1 holds in both." in page
    assert "These counts leave out 1 replication." in page
    assert "<li><b>1</b>" in page
    assert "1 claim was replicated in MLX: 1 holds in both." in markdown_table(samples.evidence(one, again))
    alone = render_html(samples.evidence(again))
    assert "not in this report" in alone
    assert "holds in both" not in alone


def test_the_level_of_a_claim_counts_every_claim_that_was_ever_registered() -> None:
    one = samples.supported()
    assert one.e_value is not None
    alone, among = levels(samples.evidence(one)), levels(replace(samples.evidence(one), registered=OTHERS))
    assert (alone[0].total, among[0].total) == (1, 4)
    assert alone[0].over_attempts == one.e_value / 2, "at the first attempt, half of it counts"
    assert math.isclose(alone[0].level, min(1, 2 / one.e_value))
    # Its own recorded e-value is replaced by that of the run; one of the others is larger than the run's.
    assert math.isclose(among[0].level, 4 / (2 * one.e_value / 2))
    later = replace(one, registration=replace(one.registration, attempt=2, earlier=(EARLIER,)))
    assert levels(samples.evidence(later))[0].over_attempts == 8 / 2 + one.e_value / 4
    page = render_html(samples.evidence(later))
    assert "1: INCONCLUSIVE, n = 32, e = 8" in page


OTHERS = {samples.supported().claim.id: 1e9, "binding/large": 1e6, "binding/small": 0.5, "binding/none": 0.0}
EARLIER = Attempt(block=0, outcome=Outcome(verdict="INCONCLUSIVE", n=32, e_value=8.0))


def test_the_page_names_the_claims_that_it_does_not_show() -> None:
    one = samples.supported()
    page = " ".join(Page(render_html(replace(samples.evidence(one), registered=OTHERS))).text.split())
    assert "3 claims of those that were ever registered in this project are not in this report" in page
    assert "binding/large, binding/small, binding/none." in page
    assert "not in this report, because they" not in render_html(samples.evidence(one))


def test_the_page_shows_how_capital_grew() -> None:
    entry = samples.supported()
    page = render_html(samples.evidence(entry))
    assert page.count("<title>How capital grew") == 1, "of the weakest contrast alone"
    (finding,) = [f for f in entry.judgement.findings if f is words.weakest(words.contrast_findings(entry))]
    assert f"at n = {entry.judgement.n}" in capital_svg(entry, finding)
    by_t = replace(finding, capital=None)
    assert capital_svg(entry, by_t) == ""


def test_every_claim_describes_its_metrics() -> None:
    one = samples.supported()
    page = render_html(replace(samples.evidence(one), metrics={"binding": {"accuracy": "share of <right> answers"}}))
    assert "<dt>Accuracy</dt><dd>Share of &lt;right&gt; answers.</dd>" in page
    assert "&lt;right&gt;" not in render_html(samples.evidence(one))


def test_repeated_attempts_at_a_control_are_reported() -> None:
    claim = Claim(
        id="lab/a-a",
        statement="An arm beats itself.",
        arms={"one": samples.arm(), "other": samples.arm()},
        contrasts=(Contrast("one", over="other", metric="accuracy", bounds=(0, 1)),),
        expect="not_supported",
    )
    values = {"one": samples.normal(1, 0.5, 0.1), "other": samples.normal(2, 0.5, 0.1)}
    first, second = (render_html(samples.evidence(samples.make(claim, values, attempt=n))) for n in (1, 2))
    assert "Not at the first attempt" not in first
    assert "Not at the first attempt, for reasons that the claim’s source may give: lab/a-a (attempt 2)." in second
    assert "was not supported, 1 of them not at the first attempt" in second
    assert "1 control is INCONCLUSIVE, as expected." in second
