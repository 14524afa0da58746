"""Episodes of recall: facts and cues are at the stated positions, and training advances with right completions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.tasks.corpus import Stretch
from memkit.tasks.facts import CUE, ENDING_LENGTH, FACT, Pool
from memkit.tasks.recall import WINDOW, Episodes, EpisodeSampler, Recall, episodes
from memkit.training.streams import generator

TASK = Recall()
TEXT = Stretch(torch.arange(1000))
"""A corpus in which every token is its own position."""
POOL = Pool(torch.arange(1000, 1080).view(40, CUE), torch.arange(2000, 2160).view(40, ENDING_LENGTH))
"""Facts whose tokens do not occur in the corpus."""


def draw(seed: int = 0, count: int = 3, **options: Any) -> Episodes:
    drawn = {"facts": 4, "distractors": 3, "asked": 5, "length": 14, **options}
    return episodes(torch.Generator().manual_seed(seed), TEXT, POOL, count, **drawn)


def positions(context: Tensor, fact: Tensor) -> list[int]:
    """Return the positions at which a fact begins in a context."""
    windows = context.unfold(0, len(fact), 1)
    return [int(i) for i in (windows == fact).all(-1).nonzero().flatten()]


options = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "count": st.integers(1, 3),
        "facts": st.integers(1, 5),
        "distractors": st.integers(0, 4),
        "asked": st.integers(0, 7),
        "unwritten": st.integers(0, 2),
        "length": st.integers(2 * FACT, 20),
    }
)


# --- episodes -----------------------------------------------------------------------------------------------


@given(options=options)
def test_every_fact_is_in_its_stated_context_and_nowhere_else(options: dict[str, int]) -> None:
    found = draw(**options)
    facts, contexts = options["facts"], options["facts"] + options["distractors"]
    assert found.written.shape == found.filler.shape == (options["count"], contexts, options["length"])
    assert found.facts.shape == (options["count"], facts + options["unwritten"], FACT)
    assert found.where.shape == (options["count"], facts)
    for written, filler, known, where in zip(found.written, found.filler, found.facts, found.where, strict=True):
        assert len(set(where.tolist())) == facts
        for i, (context, plain) in enumerate(zip(written, filler, strict=True)):
            assert (plain < 1000).all()
            assert torch.equal(plain, plain[0] + torch.arange(len(plain)))
            here = [k for k in range(len(known)) if positions(context, known[k])]
            assert here == [k for k, place in enumerate(where.tolist()) if place == i]
            # Everything except the facts is text of the corpus.
            assert int((context != plain).sum()) == FACT * len(here)


@given(options=options)
def test_an_asked_context_contains_the_fact_that_is_asked_for_at_its_cue(options: dict[str, int]) -> None:
    assume(options["asked"] + options["unwritten"])
    found, length, asked = draw(**options), options["length"], options["asked"]
    assert found.asked.shape == (options["count"], asked + options["unwritten"], length + 1)
    for b in range(options["count"]):
        for q, context in enumerate(found.asked[b]):
            fact, cue = found.facts[b, found.which[b, q]], int(found.cue[b, q])
            begins = cue - CUE + 1
            if q < asked:
                assert int(found.which[b, q]) < options["facts"]
                assert positions(context, fact) == [begins]
                assert int((context >= 1000).sum()) == FACT
            else:
                # The fact is not written; it is in the asked context, before its cue.
                assert not any(positions(written, fact) for written in found.written[b])
                assert positions(context, fact) == [int(found.before[b, q]), begins]
                assert int((context >= 1000).sum()) == 2 * FACT
            assert int(found.before[b, q]) + FACT <= begins
            # The tokens to predict at the answering positions are the ending.
            answering = found.answering[b, q]
            assert answering.nonzero().flatten().tolist() == list(range(cue, cue + ENDING_LENGTH))
            assert torch.equal(context[1:][answering], fact[CUE:])
            assert positions(found.in_context[b, q], fact) == [int(found.before[b, q]), begins]


@given(options=options)
def test_facts_are_asked_for_in_turn(options: dict[str, int]) -> None:
    found, facts = draw(**options), options["facts"]
    for which in found.which.tolist():
        asked = which[: options["asked"]]
        times = [asked.count(k) for k in range(facts)]
        assert max(times) - min(times) <= 1
        assert which[options["asked"] :] == list(range(facts, facts + options["unwritten"]))


@given(options=options, data=st.data())
def test_the_lag_is_the_number_of_contexts_after_the_fact(options: dict[str, int], data: st.DataObject) -> None:
    contexts = options["facts"] + options["distractors"]
    lag = data.draw(st.integers(0, contexts - 1))
    found = draw(**options, lag=lag)
    assert (found.where[:, 0] == contexts - 1 - lag).all()
    assert not found.which[:, : options["asked"]].any()
    for where in found.where.tolist():
        assert len(set(where)) == options["facts"]
        assert set(where) <= set(range(contexts))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**31), shared=st.integers(1, 3))
def test_facts_that_share_a_cue_have_different_endings(seed: int, shared: int) -> None:
    for known in draw(seed, facts=2 * shared, shared=shared).facts:
        assert len(known[:, :CUE].unique(dim=0)) == 2
        assert len(known[:, CUE:].unique(dim=0)) == 2 * shared


def test_a_model_reads_the_written_contexts_and_then_the_asked_ones() -> None:
    found = draw(unwritten=2)
    assert found.inputs.shape == (3, 7 + 7, 14)
    assert torch.equal(found.inputs[:, :7], found.written)
    assert torch.equal(found.inputs[:, 7:], found.asked[..., :-1])


def test_facts_and_cues_occur_at_all_positions() -> None:
    found = draw(count=300)
    assert sorted(set(found.where.flatten().tolist())) == list(range(7))
    rows = torch.arange(300).unsqueeze(1)
    begins = (found.written[rows, found.where] >= 1000).int().argmax(-1)
    assert sorted(set(begins.flatten().tolist())) == list(range(14 - FACT + 1))
    # There is room for a fact before the cue; the last token of an ending may be the one that is only predicted.
    assert sorted(set(found.cue.flatten().tolist())) == list(range(FACT + 1, 14 - ENDING_LENGTH + 1))


def test_episodes_depend_only_on_the_generator() -> None:
    one, same, other = draw(3), draw(3), draw(4)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.written, other.written)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 2 * FACT - 1}, "a context of 11 tokens is too short; it must have at least 12"),
        ({"facts": 0}, "facts=0 must be at least 1"),
        ({"lag": 7}, "lag=7 must be less than the 7 contexts of an episode"),
        ({"lag": -1}, "lag=-1 must be less than the 7 contexts"),
        ({"distractors": -1}, "distractors=-1 must be 0 or more"),
        ({"facts": 41}, "an episode of 41 facts needs as many cues, but there are only 40"),
        ({"shared": 3}, "4 facts cannot share cues in groups of 3; the number of facts must be a multiple of it"),
        ({"length": 1001}, "a context of 1001 tokens is longer than the corpus, which has 1000"),
    ],
)
def test_impossible_episodes_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(MemkitError, match=rf"^{message}"):
        draw(**options)


# --- the task -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"facts": 0}, "facts=0 must be between 1 and written=12"),
        ({"facts": 13}, "facts=13 must be between 1 and written=12"),
        ({"asked": 0}, "asked=0 and unwritten=0 must be 0 or more, and not both 0"),
        ({"unwritten": -1}, "asked=4 and unwritten=-1 must be 0 or more"),
        ({"length": 11}, "length=11 must be at least 12"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=rf"^Recall: {message}"):
        Recall(**options)


def test_a_task_knows_its_corpus_and_the_words_of_its_facts() -> None:
    assert TASK.missing == ""
    assert len(TASK.checksum) == 64
    assert TASK.sizes == {"tokens": len(TASK.words.names), "block": 16, "written": 12}
    assert {"captain", "nemo", "lantern"} <= set(TASK.words.names)
    with pytest.raises(MemkitError, match=r"^there is no corpus 'topcis'; did you mean 'topics'\?$"):
        _ = Recall(corpus="topcis").words


def test_training_draws_only_training_facts() -> None:
    task = Recall(facts=3, written=4, asked=3, unwritten=1)
    sampler, pools = task.for_seed(generator(5, "split")), task.pools(generator(5, "split"))
    sampler.facts = 3
    inputs, targets = sampler(generator(5, "data"), 20)
    assert inputs.shape == (20, 4 + 4, 16)
    assert targets.shape == (20, 4, 16)
    tokens = len(task.words.names)
    # Targets are the inputs one token later; those of an ending are counted from V on.
    assert torch.equal((targets % tokens)[..., :-1], inputs[:, 4:, 1:])
    assert ((targets >= tokens).sum(-1) == ENDING_LENGTH).all()
    endings = {tuple(row) for row in (targets[targets >= tokens] - tokens).view(-1, ENDING_LENGTH).tolist()}
    assert endings <= {tuple(row) for row in pools.train.endings.tolist()}
    cues = inputs[:, 4:].unfold(-1, CUE, 1).flatten(0, 2)
    shown = {tuple(row) for row in cues.tolist()}
    assert shown & {tuple(row) for row in pools.train.cues.tolist()}
    assert not shown & {tuple(row) for row in pools.held_out.cues.tolist()}


def test_the_loss_is_that_of_the_endings_plus_a_share_of_that_of_the_corpus() -> None:
    task, g = Recall(language=0.25), torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 2, 5, 7, generator=g, dtype=torch.float64)
    targets = torch.randint(14, (2, 3, 2, 5), generator=g)
    losses = task.loss(logits, targets)
    for s in range(2):
        of_endings: list[float] = []
        of_corpus: list[float] = []
        for b in range(3):
            for q in range(2):
                for t in range(5):
                    target = int(targets[s, b, q, t])
                    nats = -math.log(logits[s, b, q, t].softmax(-1)[target % 7])
                    (of_endings if target >= 7 else of_corpus).append(nats)
        expected = sum(of_endings) / len(of_endings) + 0.25 * sum(of_corpus) / len(of_corpus)
        assert float(losses[s]) == pytest.approx(expected)


def test_a_loss_without_endings_is_that_of_the_corpus() -> None:
    logits = torch.zeros(1, 2, 1, 3, 7)
    assert float(TASK.loss(logits, torch.zeros(1, 2, 1, 3).long())) == pytest.approx(0.3 * math.log(7))


# --- the curriculum -----------------------------------------------------------------------------------------


SMALL = Recall(facts=3, written=4, asked=2, enough=0.8, last=0.9, least=1)


def sampler_of(task: Recall = SMALL) -> EpisodeSampler:
    return EpisodeSampler(task, POOL, TEXT)


def answers(targets: Tensor, right: Tensor, tokens: int = 7) -> Tensor:
    """Return logits [B, Q, L, V] that predict only the endings, and those with an error unless ``right`` [B, Q]."""
    words = targets % tokens
    ending = targets >= tokens
    last = ending & (ending.long().cumsum(-1) == ENDING_LENGTH)
    words = torch.where(ending, words, (words + 1) % tokens)
    words = torch.where(last & ~right.unsqueeze(-1), (words + 1) % tokens, words)
    return F.one_hot(words, tokens).float()


def targets_with_endings(count: int, asked: int = 2) -> Tensor:
    """Return targets [count, asked, 8] with one ending each."""
    targets = torch.randint(7, (count, asked, 8), generator=torch.Generator().manual_seed(count))
    targets[..., 2 : 2 + ENDING_LENGTH] += 7
    return targets


def notify(sampler: EpisodeSampler, share: float, count: int = WINDOW) -> None:
    """Pass a batch of which a share of the completions is right to the sampler."""
    targets = targets_with_endings(count, sampler.task.asked)
    right = torch.arange(targets.shape[0] * targets.shape[1]).view(targets.shape[:2]) < share * targets[..., 0].numel()
    sampler.saw(answers(targets, right), targets)


def test_the_number_of_facts_doubles_when_enough_is_right_and_training_ends_only_with_all_facts() -> None:
    sampler, seen = sampler_of(), []
    for share in (0.5, 0.79, 0.81, 1.0, 0.85, 0.5, 0.91):
        assert not sampler.finished
        notify(sampler, share)
        seen.append(sampler.facts)
    assert seen == [1, 1, 2, 3, 3, 3, 3]
    assert sampler.finished


def test_the_number_of_facts_doubles_up_to_all_facts() -> None:
    eight, seen = sampler_of(Recall(facts=6, written=8, asked=2)), []
    for _ in range(4):
        seen.append(eight.facts)
        notify(eight, 1.0)
    assert seen == [1, 2, 4, 6]


def test_the_share_counts_once_half_of_the_window_was_seen() -> None:
    sampler, expected = sampler_of(Recall(facts=2, written=4, asked=2, enough=0.9)), 0.0
    for count in range(1, 5):
        notify(sampler, 1.0, count=25)  # a fifth of the window
        expected += 0.2 * (1 - expected)
        assert sampler.facts == 1 + (count == 4), "1 - 0.8^3 is less than a half"
        assert count == 4 or sampler.running_sum == sampler.running_weight == pytest.approx(expected)
    assert sampler.running_sum == sampler.running_weight == 0


def test_with_one_fact_training_ends_at_the_last_share() -> None:
    only = sampler_of(Recall(facts=1, written=4, asked=2, enough=0.5, last=0.9, least=1))
    notify(only, 0.89)
    assert not only.finished
    notify(only, 0.91)
    assert only.finished


def test_no_seed_finishes_before_the_least_steps() -> None:
    only = sampler_of(Recall(facts=1, written=4, asked=2, least=3))
    seen = []
    for _ in range(3):
        notify(only, 1.0)
        seen.append(only.finished)
    assert seen == [False, False, True]


def test_one_wrong_token_of_the_ending_makes_a_completion_wrong_and_other_text_does_not() -> None:
    targets = targets_with_endings(WINDOW)
    for right, share in ((torch.ones(WINDOW, 2).bool(), 1.0), (torch.zeros(WINDOW, 2).bool(), 0.0)):
        sampler = sampler_of(Recall(facts=3, written=4, asked=2, enough=2.0))
        sampler.saw(answers(targets, right), targets)
        assert sampler.running_sum == share


def test_the_share_is_about_the_last_completions() -> None:
    sampler = sampler_of(Recall(facts=3, written=4, asked=2, enough=2.0))
    expected = 0.0
    for share in (1.0, 0.5, 0.0):
        notify(sampler, share, count=25)
        expected += 50 / WINDOW * (share - expected)
        assert sampler.running_sum == pytest.approx(expected)


def test_completions_of_unwritten_facts_do_not_count() -> None:
    sampler = sampler_of(Recall(facts=3, written=4, asked=1, unwritten=1, enough=2.0))
    targets = targets_with_endings(50)
    sampler.saw(answers(targets, torch.tensor([True, False]).expand(50, 2)), targets)
    assert sampler.running_sum == pytest.approx(50 / WINDOW)
    alone = sampler_of(Recall(facts=3, written=4, asked=0, unwritten=2, enough=2.0))
    alone.saw(answers(targets, torch.tensor([True, False]).expand(50, 2)), targets)
    assert alone.running_sum == pytest.approx(100 / WINDOW / 2)


def test_an_episode_has_the_present_number_of_facts() -> None:
    sampler = sampler_of(SMALL)
    for facts in (1, 2, 3):
        sampler.facts = facts
        inputs, _ = sampler(generator(0, "data"), 5)
        assert inputs.shape == (5, 4 + 2, 16)
        assert (inputs[:, :4] >= 1000).any(-1).sum(-1).tolist() == [facts] * 5
