"""What a memory costs its network, and a stream that is read without end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fixtures.recall.costs import REPETITIONS, AfterStream, operations, seconds, shares
from fixtures.recall.recipes import CLOSED, LINFORMER, SLOTS, unseen
from memkit import Recipe
from memkit.models import recalling
from memkit.models.gpt import GPT
from memkit.tasks.recall import Episodes
from memkit.tasks.recall_scoring import logits_of
from memkit.training.streams import generator


def network(kind: str, **options: object) -> GPT:
    memory = {"kind": kind}
    shape = {"width": 16, "heads": 2, **CLOSED.sizes, **options}
    return GPT(generators=[generator(0, kind)], memory=memory, **shape).eval()


@pytest.fixture(scope="module")
def drawn() -> Episodes:
    return unseen("closed", 0, count=3)


@pytest.fixture(scope="module")
def text() -> Tensor:
    return CLOSED.stretch("held out").windows(generator(0, "stream"), CLOSED.length, 3, 120)


def test_shares_are_of_the_whole(drawn: Episodes) -> None:
    found = shares(network("slots"), drawn)
    assert 0 < found["share of parameters"] < 1
    assert 0 < found["share of operations"] < 1
    assert found["share of time"] < 1


def test_the_share_of_operations_is_counted_by_hand(drawn: Episodes) -> None:
    # Per token a block has 2·(3d² + d² + 2·4d²) operations in its matrices and 4·L·d in its attention, whose products
    # are not halved for being causal. A LinformerMemory has cosines, what is written, and the map: 2·K·d each.
    model, width, slots, length = network("linformer", after=None, shared=True), 16, 8, CLOSED.length
    written, asked = (tokens[..., :length].numel() for tokens in (drawn.written, drawn.asked))
    block = 2 * 12 * width**2 + 4 * length * width
    head = 2 * width * len(CLOSED.words.names)
    # It is written and read after each of two blocks, and where it is written, cosines are taken twice.
    memory = 2 * (written * 4 + asked * 2) * 2 * slots * width
    rest = (written + asked) * 2 * block + asked * head
    assert shares(model, drawn)["share of operations"] == pytest.approx(memory / (memory + rest), rel=0.15)


@pytest.mark.parametrize(
    ("recipe", "parameters", "of_operations"),
    [(SLOTS, 0.16, 0.201), (LINFORMER, 0.0064, 0.05)],
    ids=["slots", "linformer"],
)
def test_shares_that_are_quoted(recipe: Recipe, parameters: float, of_operations: float) -> None:
    model = GPT(generators=[generator(0, "")], **recipe.task.sizes, **recipe.options).eval()
    found = shares(model, unseen("closed", 0, count=32))
    assert found["share of parameters"] == pytest.approx(parameters, rel=0.01)
    assert found["share of operations"] == pytest.approx(of_operations, rel=0.01)


def test_operations_are_of_matrix_products() -> None:
    assert operations(lambda: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 2 * 3 * 5


def test_runs_take_turns() -> None:
    turns: list[str] = []

    def run(name: str) -> Tensor:
        turns.append(name)
        return torch.ones(1)

    assert len(seconds(lambda: run("a"), lambda: run("b"))) == 2
    assert turns == ["a", "b"] * REPETITIONS


@pytest.mark.parametrize("kind", ["slots", "linformer", "delta"])
def test_a_stream_is_read_as_one_text(drawn: Episodes, text: Tensor, kind: str) -> None:
    model = network(kind)
    after = AfterStream(model, text)
    together = drawn._replace(written=torch.cat([text, drawn.written], 1))
    assert torch.allclose(logits_of(after, drawn), logits_of(recalling.on(model), together), atol=1e-5)
    assert after.wrong == 0


def test_what_is_not_finite_is_counted(drawn: Episodes, text: Tensor) -> None:
    model = network("slots")
    model.embedding.weight.data[:, int(text[1, 60, 3])] = math.nan
    assert AfterStream(model, text).wrong > 0
    model = network("slots")
    model.position.data.fill_(math.inf)
    assert AfterStream(model, text).wrong > 0
