"""The language task, and modern facts within the text of a corpus."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memkit.errors import MemkitError
from memkit.tasks import corpus, modern_facts, needles
from memkit.tasks.language import Language
from memkit.tasks.modern_facts import FACTS, SHARED, cue, ending
from memkit.training.streams import generator

TOPICS = Language(length=32)
PAIRS = [sentence for pair in SHARED for sentence in pair]
HELD_OUT, CHARACTERS = TOPICS.stretch("held out"), TOPICS.characters


@given(contexts=st.integers(1, 3), length=st.integers(1, 20), size=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_targets_are_the_text_one_character_later(contexts: int, length: int, size: int, seed: int) -> None:
    task = Language(contexts=contexts, length=length)
    inputs, targets = task.for_seed(generator(0))(generator(seed), size)
    assert inputs.shape == targets.shape == (size, contexts, length)
    text = corpus.part("topics", "train")
    for row, target in zip(inputs.flatten(1), targets.flatten(1), strict=True):
        assert row[1:].tolist() == target[:-1].tolist()
        assert CHARACTERS.decode([*row.tolist(), int(target[-1])]) in text


def test_a_seed_draws_the_same_examples_again() -> None:
    once, again = (TOPICS.for_seed(generator(3))(generator(4), 2) for _ in range(2))
    assert torch.equal(once[0], again[0])
    assert not torch.equal(once[0], TOPICS.for_seed(generator(3))(generator(5), 2)[0])


def test_sizes_and_checksum_are_those_of_the_corpus() -> None:
    assert TOPICS.sizes == {"tokens": len(CHARACTERS.names), "block": 32}
    assert TOPICS.checksum == corpus.checksum("topics")
    assert TOPICS.missing == ""


def test_a_missing_corpus_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMKIT_DATA", str(tmp_path))
    assert "the corpus shakespeare is not in" in Language(corpus="shakespeare").missing


@pytest.mark.parametrize("field", ["contexts", "length"])
def test_sizes_are_positive(field: str) -> None:
    with pytest.raises(MemkitError, match=f"Language: {field}=0 must be at least 1"):
        Language(**{field: 0})


# --- modern facts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sentence", [*FACTS, *PAIRS])
def test_a_fact_is_a_short_sentence_of_plain_characters_that_the_corpus_does_not_contain(sentence: str) -> None:
    assert 35 <= len(sentence) <= 70
    assert sentence.isascii()
    assert sentence.endswith(".")
    assert set(sentence) <= set(CHARACTERS.names)
    assert cue(sentence) + ending(sentence) == sentence
    assert cue(sentence).endswith(" ")
    assert cue(sentence).count(" ") == modern_facts.CUE
    assert cue(sentence) not in corpus.text("topics")
    assert ending(sentence) not in corpus.text("topics")


def test_cues_are_unique_except_for_those_of_pairs() -> None:
    assert len(FACTS) >= 24
    assert len({cue(fact) for fact in FACTS}) == len({ending(fact) for fact in FACTS}) == len(FACTS)
    assert all(cue(one) == cue(other) and ending(one) != ending(other) for one, other in SHARED)
    assert len({cue(fact) for fact in PAIRS}) == len(SHARED)
    assert not {cue(fact) for fact in FACTS} & {cue(fact) for fact in PAIRS}


@pytest.mark.parametrize("sentence", ["", "Two words", "Two  words.", "Two words "])
def test_a_sentence_without_an_ending_is_refused(sentence: str) -> None:
    with pytest.raises(MemkitError, match="has no ending after its first two words"):
        modern_facts.split(sentence)


# --- needles ------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**31), length=st.integers(60, 112))
def test_a_needle_replaces_a_part_of_the_text(seed: int, length: int) -> None:
    shown = needles.shown(generator(seed), HELD_OUT, CHARACTERS, FACTS, length)
    text = HELD_OUT.windows(generator(seed), length, len(FACTS))
    for context, plain, fact in zip(shown.tolist(), text.tolist(), FACTS, strict=True):
        before, found, after = CHARACTERS.decode(context).partition(f" {fact} ")
        assert found
        assert CHARACTERS.decode(plain).startswith(before)
        assert CHARACTERS.decode(plain).endswith(after)


@given(seed=st.integers(0, 2**31))
def test_a_context_ends_with_the_cue_and_may_begin_with_the_fact(seed: int) -> None:
    text = HELD_OUT.windows(generator(seed), 80, len(FACTS))
    plain = needles.asked(text, CHARACTERS, [*map(cue, FACTS)])
    inside = needles.asked(text, CHARACTERS, [*map(cue, FACTS)], FACTS)
    for row, fact in enumerate(FACTS):
        without, within, original = (CHARACTERS.decode(rows[row].tolist()) for rows in (plain, inside, text))
        assert without == f"{original[: 80 - len(cue(fact)) - 1]} {cue(fact)}"
        assert within == f"{fact} {without[len(fact) + 1 :]}"


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MemkitError, match="has more than the 38 characters"):
        needles.shown(generator(0), HELD_OUT, CHARACTERS, FACTS[:1], 40)
    with pytest.raises(MemkitError, match="does not fit into a context of 10 characters"):
        needles.asked(torch.zeros(1, 10, dtype=torch.int64), CHARACTERS, [cue(FACTS[0])])
