"""Conditions of a memory, and scores of recall under them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from memkit.errors import MemkitError
from memkit.models import recalling
from memkit.models.gpt import GPT
from memkit.models.recall_diagnostics import (
    address_accuracy,
    effective_contexts,
    effective_cues,
    place_entries,
    read_weights,
    shares_of_reads,
    shares_of_writes,
    slot_memory,
    slot_of_each_fact,
)
from memkit.models.recalling import Recalling, with_slots
from memkit.tasks.recall import Episodes, Recall, episodes
from memkit.tasks.recall_scoring import exact_match, forced_choice, influence, logits_of, scores
from memkit.training.streams import generator

TASK = Recall(length=14)
TOKENS = len(TASK.words.names)


def network(kind: str = "slots") -> GPT:
    """Return an untrained network, with weights large enough for every part to matter."""
    model = GPT(
        generators=[generator(0, kind)], **TASK.sizes, width=16, heads=2, initial=0.4, memory={"kind": kind, "slots": 4}
    )
    return model.eval()


@pytest.fixture(scope="module")
def drawn() -> Episodes:
    pool = TASK.pools(generator(0, "split")).held_out
    text = TASK.stretch("held out")
    return episodes(generator(1), text, pool, 6, facts=4, distractors=3, asked=3, length=TASK.length)


def same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5)


def test_on_equals_the_model(drawn: Episodes) -> None:
    model = network()
    with torch.no_grad():
        expected = model.complete(model.remember(drawn.written[None]), drawn.asked[None, ..., :-1])[0]
    assert same(logits_of(recalling.on(model), drawn), expected)


@pytest.mark.parametrize("kind", ["slots", "linformer"])
def test_conditions_differ_in_their_states(drawn: Episodes, kind: str) -> None:
    model = network(kind)
    conditions = (recalling.on, recalling.off, recalling.filler_only, recalling.other_facts, recalling.permuted_values)
    result = [logits_of(condition(model), drawn) for condition in conditions]
    for at, one in enumerate(result):
        assert not any(same(one, other) for other in result[at + 1 :])


def test_off_does_not_depend_on_the_memory(drawn: Episodes) -> None:
    model = network()
    other = drawn._replace(written=drawn.filler)
    assert same(logits_of(recalling.off(model), drawn), logits_of(recalling.off(model), other))


def test_filler_only_does_not_depend_on_the_facts(drawn: Episodes) -> None:
    model = network()
    without = drawn._replace(written=drawn.filler)
    assert same(logits_of(recalling.filler_only(model), drawn), logits_of(recalling.on(model), without))


def test_other_facts_are_those_of_another_episode(drawn: Episodes) -> None:
    model = network()
    turned = drawn._replace(written=drawn.written.roll(1, 0))
    assert same(logits_of(recalling.other_facts(model), drawn), logits_of(recalling.on(model), turned))


def test_one_episode_has_no_other_facts(drawn: Episodes) -> None:
    alone = Episodes(*(part[:1] for part in drawn))
    with pytest.raises(MemkitError, match=r"^other_facts uses the memory of another episode, and there is only one"):
        logits_of(recalling.other_facts(network()), alone)


def test_in_context_reads_the_fact_and_no_memory(drawn: Episodes) -> None:
    model = network()
    inside = drawn._replace(asked=drawn.in_context)
    assert same(logits_of(recalling.in_context(model), drawn), logits_of(recalling.off(model), inside))


def test_permuted_values_keep_keys_and_amounts(drawn: Episodes) -> None:
    model = network()
    (before,) = recalling.on(model).states(drawn).values()
    (after,) = recalling.permuted_values(model).states(drawn).values()
    assert same(after[0], before[0])
    assert same(after[1], before[1].roll(1, 2))
    assert all(same(one, other) for one, other in zip(after[2:], before[2:], strict=True))


def test_the_slot_of_the_fact_asked_for_first_is_emptied(drawn: Episodes) -> None:
    model = network()
    slot = slot_of_each_fact(model, drawn).gather(1, drawn.which[:, :1])[:, 0]
    (before,) = recalling.on(model).states(drawn).values()
    for condition, by in ((recalling.own_emptied, 0), (recalling.other_emptied, 1)):
        (after,) = condition(model).states(drawn).values()
        emptied = ((slot + by) % 4).unsqueeze(-1) == torch.arange(4)
        assert (after[2][0][emptied].exp() < 1e-5).all()
        assert same(after[2][0][~emptied], before[2][0][~emptied])


def test_slots_that_hold_facts(drawn: Episodes) -> None:
    model = network()
    slot_memory(model).spans.point.bias.data[..., 1] = 50.0  # every gate is open
    entries, result = place_entries(model, drawn.written)
    assert same(entries.gates, torch.ones_like(entries.gates))
    # Seven contexts in four slots: context n is in slot n mod 4.
    last = drawn.where >= 3
    assert torch.equal(slot_of_each_fact(model, drawn)[last], (drawn.where % 4)[last])
    assert result.weights.sum() == pytest.approx(4 * len(drawn.written))
    assert read_weights(model, drawn).shape == (6, 3, TASK.length, 4, 4)
    assert 0 <= address_accuracy(model, drawn) <= 1


def test_with_slots_changes_the_number_of_slots() -> None:
    model, tokens = network(), torch.zeros(1, 2, 1, 1)
    assert with_slots(model, 9).empty(tokens)["1"][0].shape[2] == 9
    assert model.empty(tokens)["1"][0].shape[2] == 4
    with pytest.raises(MemkitError, match=r"^the model must have exactly one memory, a SlotMemory; it has Linformer"):
        slot_memory(network("linformer"))
    with pytest.raises(MemkitError, match=r"^with_slots: count=0 must be at least 1$"):
        with_slots(model, 0)


def test_contexts_told_apart_by_known_values(drawn: Episodes) -> None:
    slots, linformer = network(), network("linformer")
    slot_memory(slots).spans.point.bias.data[..., 1] = 50.0
    contexts = drawn.written[:, :4]
    assert effective_contexts(slots, contexts) == pytest.approx(4)
    assert 1 <= effective_contexts(linformer, contexts) < 1.1
    for model in (slots, linformer):
        assert same(shares_of_writes(model, contexts).sum(-1), torch.ones(6, 4))
    with pytest.raises(TypeError, match="DeltaMemory has no slots with addresses"):
        shares_of_writes(network_of_a_matrix(), contexts)


def test_cues_told_apart_by_known_values(drawn: Episodes) -> None:
    slots, linformer = network(), network("linformer")
    for model in (slots, linformer):
        assert same(shares_of_reads(model, drawn).sum(-1), torch.ones(6, 3))
        assert 1 <= effective_cues(model, drawn) <= 3
    with pytest.raises(TypeError, match="DeltaMemory has no slots with addresses"):
        shares_of_reads(network_of_a_matrix(), drawn)


def test_shares_of_reads_of_a_linformer_memory(drawn: Episodes) -> None:
    model = network("linformer")
    weight = model.layer("1").outward.weight.data  # type: ignore[union-attr]
    weight.zero_()
    weight[:, 2] = 1.0
    assert same(shares_of_reads(model, drawn), torch.eye(4)[2].expand(6, 3, -1))
    assert effective_cues(model, drawn) == pytest.approx(1)


def network_of_a_matrix() -> GPT:
    return GPT(generators=[generator(0)], **TASK.sizes, width=16, heads=2, memory={"kind": "delta"})


def knowing(drawn: Episodes) -> Tensor:
    """Return logits of perfect predictions."""
    return 20.0 * F.one_hot(drawn.asked[..., 1:], TOKENS).float()


def guessing(drawn: Episodes) -> Tensor:
    """Return uniform logits."""
    return torch.zeros(*drawn.asked[..., 1:].shape, TOKENS)


def test_scores_of_perfect_and_of_uniform_predictions(drawn: Episodes) -> None:
    assert scores(knowing, drawn) == {"exact match": 1.0, "nats a token": pytest.approx(0, abs=1e-4)}
    nothing = scores(guessing, drawn)
    assert nothing["exact match"] == 0.0
    assert nothing["nats a token"] == pytest.approx(math.log(TOKENS))


def test_a_token_costs_at_most_log_v(drawn: Episodes) -> None:
    assert scores(lambda drawn: -knowing(drawn), drawn)["nats a token"] == pytest.approx(math.log(TOKENS))


def test_one_wrong_token_makes_a_completion_wrong(drawn: Episodes) -> None:
    def nearly(drawn: Episodes) -> Tensor:
        logits = knowing(drawn)
        for place in drawn.cue[:, 0].unbind():
            logits[:, 0, place + 3] *= 0
        return logits

    assert exact_match(nearly, drawn) <= 2 / 3


def test_errors_outside_of_endings_do_not_count(drawn: Episodes) -> None:
    def elsewhere(drawn: Episodes) -> Tensor:
        return knowing(drawn) * drawn.answering.unsqueeze(-1)

    assert exact_match(elsewhere, drawn) == 1.0


def test_forced_choice_takes_the_most_probable_ending(drawn: Episodes) -> None:
    def right(tried: Episodes) -> Tensor:
        """Logits that are right for the asked contexts, not for those that are tried."""
        facts = tried.facts.shape[1]
        true = drawn.asked.repeat_interleave(facts, 1)[..., 1:]
        return 20.0 * F.one_hot(true, TOKENS).float()

    assert forced_choice(right, drawn) == 1.0
    assert forced_choice(lambda tried: -right(tried), drawn) == 0.0


def test_influence_by_position(drawn: Episodes) -> None:
    assert influence(knowing, knowing, drawn) == {"at the ending": 0.0, "elsewhere": 0.0}

    def at_endings(drawn: Episodes) -> Tensor:
        return knowing(drawn) * drawn.answering.unsqueeze(-1)

    moved = influence(at_endings, guessing, drawn)
    assert moved["at the ending"] > 0.9
    assert moved["elsewhere"] == pytest.approx(0, abs=1e-6)


def test_a_condition_is_a_module_that_reads_episodes(drawn: Episodes) -> None:
    model = network()
    assert isinstance(recalling.on(model), Recalling)
    assert logits_of(recalling.on(model), drawn).shape == (6, 3, TASK.length, TOKENS)


def test_episodes_without_questions_have_no_score(drawn: Episodes) -> None:
    nothing = drawn._replace(asked=drawn.asked[:, :0], cue=drawn.cue[:, :0], which=drawn.which[:, :0])
    with pytest.raises(MemkitError, match=r"^these episodes ask for no fact; draw them with asked=1 or more$"):
        exact_match(recalling.on(network()), nothing)
