"""Update strategies differ in the contexts that are written, and in nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from memkit.errors import MemkitError
from memkit.models import recalling
from memkit.models.gpt import GPT
from memkit.models.update_strategies import evenly_spaced, reset, surprise, surprising
from memkit.tasks.recall import Episodes, Recall, episodes
from memkit.tasks.recall_scoring import logits_of
from memkit.training.streams import generator

TASK = Recall(length=14)


@pytest.fixture(scope="module")
def model() -> GPT:
    memory = {"kind": "slots", "slots": 4}
    return GPT(generators=[generator(0, "")], **TASK.sizes, width=16, heads=2, initial=0.4, memory=memory).eval()


@pytest.fixture(scope="module")
def drawn() -> Episodes:
    pool = TASK.pools(generator(0, "split")).held_out
    text = TASK.stretch("held out")
    return episodes(generator(1), text, pool, 6, facts=4, distractors=6, asked=3, length=TASK.length)


def with_written(model: GPT, drawn: Episodes, chosen: torch.Tensor) -> torch.Tensor:
    """Return logits after contexts [B, n] were written in this order."""
    rows = torch.arange(len(chosen)).unsqueeze(1)
    return logits_of(recalling.on(model), drawn._replace(written=drawn.written[rows, chosen]))


def test_surprise_is_nats_per_token_without_the_memory(model: GPT, drawn: Episodes) -> None:
    nats_per_context = surprise(model, drawn.written)
    assert nats_per_context.shape == drawn.written.shape[:2]
    context = drawn.written[2, 5]
    with torch.no_grad():
        shares = model.complete({}, context[None, None, None])[0, 0, 0].softmax(-1)
    nats = [-math.log(float(shares[at, token])) for at, token in enumerate(context[1:].tolist())]
    assert float(nats_per_context[2, 5]) == pytest.approx(sum(nats) / len(nats), abs=1e-4)


def test_the_most_surprising_contexts_are_written_in_their_original_order(model: GPT, drawn: Episodes) -> None:
    ranked = surprise(model, drawn.written).tolist()
    chosen = [sorted(sorted(range(len(row)), key=lambda at, row=row: -row[at])[:3]) for row in ranked]  # type: ignore[misc]
    assert torch.equal(logits_of(surprising(model, 3), drawn), with_written(model, drawn, torch.tensor(chosen)))


def test_evenly_spaced_contexts_include_the_last(model: GPT, drawn: Episodes) -> None:
    chosen = torch.tensor([1, 3, 5, 7, 9]).expand(6, -1)
    assert torch.equal(logits_of(evenly_spaced(model, 5), drawn), with_written(model, drawn, chosen))


@pytest.mark.parametrize("strategy", [surprising, evenly_spaced])
def test_keeping_all_contexts_equals_the_trained_model(model: GPT, drawn: Episodes, strategy: object) -> None:
    assert callable(strategy)
    assert torch.equal(logits_of(strategy(model, 10), drawn), logits_of(recalling.on(model), drawn))


@pytest.mark.parametrize(
    ("every", "left"), [(1, [9]), (4, [8, 9]), (5, [5, 6, 7, 8, 9]), (10, range(10)), (11, range(10))]
)
def test_a_reset_keeps_the_contexts_after_it(model: GPT, drawn: Episodes, every: int, left: list[int]) -> None:
    chosen = torch.tensor(list(left)).expand(6, -1)
    assert torch.equal(logits_of(reset(model, every), drawn), with_written(model, drawn, chosen))


@pytest.mark.parametrize("strategy", [surprising, evenly_spaced])
@pytest.mark.parametrize("keep", [0, 11])
def test_keeping_more_contexts_than_are_read_is_refused(
    model: GPT, drawn: Episodes, strategy: object, keep: int
) -> None:
    assert callable(strategy)
    with pytest.raises(MemkitError, match=rf"^keep={keep} must be from 1 to the 10 contexts that are read$"):
        logits_of(strategy(model, keep), drawn)


def test_a_reset_interval_of_zero_is_refused(model: GPT) -> None:
    with pytest.raises(MemkitError, match=r"^reset: every=0 must be at least 1$"):
        reset(model, 0)
