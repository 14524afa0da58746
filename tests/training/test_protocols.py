"""memkit's tasks and models implement the protocols, and the trainer recognises what they offer."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import memkit.models
from memkit.tasks.binding import Execution
from memkit.training.protocols import (
    AfterBatch,
    CountedSampler,
    Sampler,
    SamplerWithValidation,
    Task,
    WithStateSize,
    has_seed_axis,
    sizes_of,
    state_size_of,
)
from tests.machines import toys
from tests.training import contracts


@pytest.mark.parametrize("task", contracts.TASKS, ids=lambda task: type(task).__name__)
def test_a_task_draws_batches_of_a_size(task: Task) -> None:
    draw: Sampler = task.for_seed(torch.Generator().manual_seed(1))
    inputs, targets = draw(torch.Generator().manual_seed(2), 3)
    assert len(inputs) == len(targets) == 3
    assert isinstance(task, Task)
    assert sizes_of(task) == getattr(task, "sizes", {})


def test_samplers_are_recognised_by_their_members() -> None:
    _, curriculum, images, _, recall = (task.for_seed(torch.Generator().manual_seed(1)) for task in contracts.TASKS)
    assert isinstance(curriculum, AfterBatch)
    assert isinstance(recall, AfterBatch)
    assert not isinstance(images, AfterBatch)
    assert isinstance(images, SamplerWithValidation)
    assert isinstance(images, CountedSampler)


def networks() -> Iterator[type[nn.Module]]:
    """Yield each class of memkit that declares that it trains many seeds at once."""
    for module in pkgutil.walk_packages(memkit.models.__path__, "memkit.models."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ == module.name and issubclass(kind, nn.Module) and has_seed_axis(kind):
                yield kind


def test_every_network_with_a_seed_axis_is_exported() -> None:
    """Interventions wrap networks, and are imported from their modules."""
    interventions = {"Edited", "Readdressed"}
    assert {kind.__name__ for kind in networks()} - interventions <= set(memkit.models.__all__)


def test_models_without_a_seed_axis_are_recognised() -> None:
    assert not has_seed_axis(nn.Linear(1, 1))
    assert not has_seed_axis(toys.Plain)
    assert has_seed_axis(toys.Cohort)
    assert not has_seed_axis(lambda: None)


def test_the_state_size_is_that_of_the_model_or_none() -> None:
    network = memkit.models.LSTMNetwork(generators=[torch.Generator()], **sizes_of(Execution()))
    assert isinstance(network, WithStateSize)
    assert state_size_of(network) == network.state_size > 0
    assert state_size_of(nn.Linear(1, 1)) is None
