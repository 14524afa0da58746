"""Classification of images: the split, and the order in which training draws the images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from memkit import MemkitError, Recipe
from memkit.models.feedforward import FeedForwardNetwork
from memkit.tasks.images import Classification, datasets
from memkit.tasks.images.classification import Epochs, Examples, among, few
from memkit.training.streams import generator

TASK = Classification(train=100, validation=30, test=200)


def numbered(count: int) -> Examples:
    """Return images whose pixel is their index, and classes 0, 1, 2 in turn."""
    return torch.arange(count).view(-1, 1, 1).float(), torch.arange(count) % 3


def indices(pixels: Tensor) -> list[int]:
    return [int(n) for n in pixels.flatten()]


def alike(one: Examples, other: Examples) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def positions(examples: Examples) -> set[int]:
    """Return the positions of images in the data set, in which no two digits are the same."""
    pixels, labels = datasets.load("digits")
    same = (examples[0].flatten(1).unsqueeze(1) == pixels.flatten(1)).all(-1)
    assert same.sum(1).tolist() == [1] * len(same)
    found = same.int().argmax(1)
    assert torch.equal(labels[found], examples[1])
    return set(found.tolist())


def test_parts_have_their_sizes_and_share_no_image() -> None:
    parts = TASK.split(generator(1, "split"))
    assert [len(labels) for _, labels in parts] == [100, 30, 200]
    train, validation, test = (positions(part) for part in parts)
    assert len(train | validation | test) == 330


def test_the_whole_data_set_can_be_used() -> None:
    parts = Classification(train=1000, validation=200, test=597).split(generator(1, "split"))
    assert len(set().union(*map(positions, parts))) == datasets.size("digits")


def test_all_seeds_have_the_same_test_images_and_different_other_images() -> None:
    first, again, second = (TASK.split(generator(seed, "split")) for seed in (1, 1, 2))
    assert all(alike(one, other) for one, other in zip(first, again, strict=True))
    assert alike(first.test, second.test)
    other = Classification(train=50, validation=60, test=200, classes=(1, 2))
    assert alike(other.split(generator(3, "split")).test, first.test), (
        "they have all classes, however the rest is split"
    )
    for one, two in ((first.train, second.train), (first.validation, second.validation)):
        assert len(positions(one) & positions(two)) < len(one[1]) / 2
    assert set(first.test[1].tolist()) == set(range(10))


def test_only_some_classes_are_trained_on() -> None:
    task = Classification(train=100, validation=30, test=200, classes=(7, 2, 2))
    assert task.classes == (2, 7)
    split, draw = task.split(generator(1, "split")), task.for_seed(generator(1, "split"))
    assert set(split.train[1].tolist()) == set(range(10))
    _, labels = draw(generator(1, "data"), 60)
    assert set(labels.tolist()) == {2, 7}
    validation = draw.validation  # type: ignore[attr-defined]
    assert alike(validation, among(split.validation, (2, 7)))
    assert 0 < len(validation[1]) < 30


def test_sizes_checksum_and_digest() -> None:
    assert TASK.sizes == {"inputs": (8, 8), "classes": 10}
    assert TASK.checksum == datasets.checksum("digits")
    assert TASK.missing == ""
    recipes = [Recipe(task, FeedForwardNetwork) for task in (TASK, Classification(train=100, validation=30, test=201))]
    assert Recipe.from_json(recipes[0].to_json()).task == TASK
    assert recipes[0].digest != recipes[1].digest


# --- epochs -------------------------------------------------------------------------------------------------


@given(count=st.integers(1, 20), sizes=st.lists(st.integers(1, 25), min_size=1, max_size=8), seed=st.integers(0, 999))
def test_each_example_comes_once_per_epoch_even_if_batches_cross_its_end(
    count: int, sizes: list[int], seed: int
) -> None:
    draw, g, drawn = Epochs(numbered(count), numbered(1)), generator(seed, "data"), []
    for size in sizes:
        pixels, labels = draw(g, size)
        assert len(labels) == size
        assert labels.tolist() == [n % 3 for n in indices(pixels)]
        drawn += indices(pixels)
    epochs = [drawn[start : start + count] for start in range(0, len(drawn), count)]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch)


def test_the_order_depends_on_the_stream_and_differs_between_epochs() -> None:
    orders = []
    for seed in (1, 1, 2):
        draw, g = Epochs(numbered(20), numbered(1)), generator(seed, "data")
        orders.append([indices(draw(g, 20)[0]) for _ in range(2)])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert orders[0][0] != orders[0][1]
    draw, g = Epochs(numbered(20), numbered(1)), generator(1, "data")
    in_parts = [n for _ in range(8) for n in indices(draw(g, 5)[0])]
    assert in_parts == orders[0][0] + orders[0][1], "the order does not depend on the batch size"


def test_there_must_be_examples_to_draw() -> None:
    with pytest.raises(MemkitError, match="there are no examples to draw"):
        Epochs(numbered(0), numbered(1))


# --- choosing -----------------------------------------------------------------------------------------------


def test_the_examples_of_some_classes() -> None:
    pixels, labels = among(numbered(10), (0, 2))
    assert indices(pixels) == [0, 2, 3, 5, 6, 8, 9]
    assert labels.tolist() == [0, 2, 0, 2, 0, 2, 0]


@given(count=st.integers(6, 30), each=st.integers(1, 2), seed=st.integers(0, 999))
def test_few_of_every_class(count: int, each: int, seed: int) -> None:
    pixels, labels = few(numbered(count), each, generator(seed, "few"))
    assert sorted(labels.tolist()) == sorted([0, 1, 2] * each)
    assert labels.tolist() == [n % 3 for n in indices(pixels)]
    assert len(set(indices(pixels))) == 3 * each


def test_few_are_drawn_evenly_and_in_random_order() -> None:
    draws = [few(numbered(12), 1, generator(seed, "few")) for seed in range(400)]
    times = torch.bincount(torch.tensor([n for pixels, _ in draws for n in indices(pixels)]))
    assert ((times - 100).abs() < 45).all()
    assert len({tuple(labels.tolist()) for _, labels in draws}) == 6


def test_few_of_some_classes() -> None:
    _, labels = few(among(numbered(30), (1, 2)), 4, generator(0, "few"))
    assert sorted(labels.tolist()) == [1] * 4 + [2] * 4
    with pytest.raises(MemkitError, match="a class has only 3 examples, but 4 are needed"):
        few(numbered(11), 4, generator(0, "few"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "train=0 must be a positive whole number of images"),
        ({"validation": 2.5}, "validation=2.5 must be"),
        ({"test": True}, "test=True must be"),
        ({"train": 1001}, "1001 \\+ 200 \\+ 597 images are more than the 1797 of 'digits'"),
        ({"dataset": "mnits"}, "mnist"),
        ({"classes": ()}, "classes=\\(\\) must be numbers from 0 to 9"),
        ({"classes": (3, 10)}, "classes=\\(3, 10\\) must be numbers from 0 to 9"),
    ],
)
def test_a_wrong_setting_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MemkitError, match=message):
        Classification(**options)
