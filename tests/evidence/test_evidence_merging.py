"""Merging: shards, the seeds of two machines, and contradictions, which are refused and named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memkit.errors import MemkitError
from memkit.evidence import Evidence, Verdict
from memkit.evidence.decision_rule import judge
from memkit.evidence.evidence_file import ClaimEvidence
from memkit.evidence.evidence_merging import merge
from memkit.evidence.gate import gate

from .entries import entry, evidence


def only(item: ClaimEvidence, seeds: range) -> ClaimEvidence:
    """Return the evidence of a run that observed only some of the seeds."""
    rows = tuple(o for o in item.observations if o.seed in seeds)
    judgement = judge(item.claim, rows, planned=item.planned)
    gated = gate(item.claim, judgement, registration=item.registration, failures={})
    return replace(item, observations=rows, judgement=judgement, gate=gated)


def test_shards_are_put_together_in_their_order() -> None:
    one, other = evidence(entry("study/b"), entry("study/a")), evidence(entry("study/c"))
    merged = merge({"one.json": one, "other.json": other})
    assert [item.claim.id for item in merged.claims] == ["study/b", "study/a", "study/c"]
    assert merged.claims == (*one.claims, *other.claims)


def test_merging_one_file_or_a_file_with_itself_changes_no_verdict() -> None:
    one = evidence(entry("study/a"), entry("study/b", a=0.55, b=0.5, n=16))
    assert merge({"one.json": one}) == one
    twice = merge({"one.json": one, "same.json": one})
    assert [item.judgement for item in twice.claims] == [item.judgement for item in one.claims]
    assert [item.observations for item in twice.claims] == [item.observations for item in one.claims]


@pytest.mark.parametrize("order", [1, -1])
def test_seeds_of_two_machines_give_the_same_verdict_as_those_of_one(order: int) -> None:
    whole = entry("study/a")
    first = only(whole, range(10_000, 10_005))
    second = only(whole, range(10_003, 10_008))
    assert first.verdict is second.verdict is Verdict.INCOMPLETE
    files = {"first.json": evidence(first), "second.json": evidence(second)}
    (merged,) = merge(dict(list(files.items())[::order])).claims
    assert merged.judgement == whole.judgement
    assert merged.observations == whole.observations
    assert merged.gate == whole.gate


def test_a_seed_that_crashed_in_any_run_counts_as_crashed() -> None:
    whole = entry("study/a")
    broken = replace(only(whole, range(10_000, 10_007)), failures={10_007: "the worker died"})
    (merged,) = merge({"a": evidence(broken), "b": evidence(whole)}).claims
    assert merged.failures == {10_007: "the worker died"}
    assert merged.gate.outcome == "failed"


def altered(item: ClaimEvidence, by: float) -> ClaimEvidence:
    first = item.observations[0]
    return replace(item, observations=(replace(first, value=first.value - by), *item.observations[1:]))


def test_values_that_contradict_are_refused_and_rounding_is_not() -> None:
    whole = entry("study/a")
    files = {"one.json": evidence(whole), "other.json": evidence(altered(whole, 0.25))}
    message = (
        r"^one\.json and other\.json contradict one another: claim 'study/a', seed 10000, arm 'a', accuracy is 1 in "
        r"one, and 0\.75 in the other$"
    )
    with pytest.raises(MemkitError, match=message):
        merge(files)
    (merged,) = merge({**files, "other.json": evidence(altered(whole, 1e-9))}).claims
    assert merged.observations == whole.observations


def test_two_forms_of_a_claim_are_refused() -> None:
    one = entry("study/a")
    other = replace(one, claim=replace(one.claim, test="another"))
    with pytest.raises(MemkitError, match=r"claim 'study/a' has two forms, with the digests \w+ and \w+$"):
        merge({"one": evidence(one), "other": evidence(other)})
    reworded = replace(one, claim=replace(one.claim, statement="A beats B by far.", headline=True))
    with pytest.raises(MemkitError, match=r"claim 'study/a' differs in statement, headline; merge only"):
        merge({"one": evidence(one), "other": evidence(reworded)})


def test_two_registrations_are_refused() -> None:
    one = entry("study/a")
    later = replace(one, registration=replace(one.registration, attempt=2, first_seed=10_100))
    with pytest.raises(MemkitError, match=r"is registered, attempt 1, .* seeds from 10000 in one, and .* attempt 2"):
        merge({"one": evidence(one), "other": evidence(later)})
    # That the code differs on only one machine is not a contradiction, but it is recorded.
    recoded = replace(one, registration=replace(one.registration, recoded=True))
    (merged,) = merge({"one": evidence(one), "other": evidence(recoded)}).claims
    assert merged.registration.recoded


def test_a_merged_claim_is_judged_at_its_attempt() -> None:
    """The seeds suffice at a first attempt, but not at a tenth, whose thresholds are 512 times as high."""
    first = entry("study/a")
    tenth = replace(first, registration=replace(first.registration, attempt=10))
    parts = {str(k): evidence(only(tenth, range(10_000 + 4 * k, 10_004 + 4 * k))) for k in (0, 1)}
    (merged,) = merge(parts).claims
    assert first.verdict is Verdict.SUPPORTED
    assert merged.verdict is Verdict.INCONCLUSIVE
    assert {finding.thresholds.support for finding in merged.judgement.findings} == {40 * 512}


def test_provenance_lists_values_that_differ() -> None:
    one = Evidence(
        created="2025-07-29T12:00:00+00:00",
        provenance={"device": "cpu", "torch": "2", "dirty": False},
        claims=(entry("study/a"),),
        studies={"study": "What it means."},
    )
    other = replace(
        one, created="2025-07-30T12:00:00+00:00", provenance={"device": "cuda", "torch": "2", "dirty": True}
    )
    merged = merge({"one": one, "other": other})
    assert merged.created == other.created
    assert merged.provenance == {"merged": "2 files", "device": "cpu; cuda", "torch": "2", "dirty": True}
    assert merged.studies == one.studies
    unknown = "unknown: git status took longer than 10 s"
    for values, expected in (([False, unknown], unknown), ([unknown, True], True), ([False, None], False)):
        files = {str(i): replace(one, provenance={"dirty": dirty}) for i, dirty in enumerate(values)}
        assert merge(files).provenance["dirty"] == expected
