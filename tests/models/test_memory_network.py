"""The memory network: its writes and reads, its answers without the memory, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from memkit.models import MemoryNetwork
from memkit.models.memory_network import memory_off
from memkit.tasks.binding import Rebinding
from memkit.training.streams import generator

TASK = Rebinding()
KINDS = ("argmax", "straight-through", "soft")


def network(**options: object) -> MemoryNetwork:
    return MemoryNetwork(
        generators=[generator(seed, "init") for seed in (0, 1)],
        width=8,
        **options,  # type: ignore[arg-type]
        **TASK.sizes,
    )


def commands() -> Tensor:
    return torch.stack([TASK.for_seed(generator(s, "split"))(generator(s, "data"), 6)[0] for s in (0, 1)])


def test_contents_with_weights_set_by_hand() -> None:
    """States are the tokens: token 1 goes to slot 0, tokens 2 and 3 to slot 1, and token 4 is not written."""
    model = MemoryNetwork(
        generators=[generator(0, "init")], tokens=5, answers=5, positions=1, length=5, width=5, slots=2
    )
    model.encoder = nn.Identity()  # type: ignore[assignment]
    with torch.no_grad():
        for layer in (model.where, model.value, model.whence):
            layer.weight.zero_()
            layer.bias.zero_()
        model.embedding.weight[0] = torch.eye(5)
        model.value.weight[0] = torch.eye(5)
        model.where.weight[0, 1, 0] = model.where.weight[0, 2, 1] = model.where.weight[0, 3, 1] = 1.0
        model.where.bias[..., 2] = 100.0
        model.where.weight[0, 4, 2] = -300.0
        model.whence.weight[0, 4, 1] = 1.0  # commands that end with token 4 read slot 1
    tokens = torch.tensor([[[1, 2, 3, 4], [3, 2, 1, 4]]])
    one, two, three = (torch.eye(5)[n] for n in (1, 2, 3))
    torch.testing.assert_close(
        model.contents(tokens)[0], torch.stack([torch.stack([one, three]), torch.stack([one, two])])
    )
    torch.testing.assert_close(model.read(model.embedding(tokens))[0, :, 0], torch.stack([three, two]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_answers_read_the_contents(kind: str) -> None:
    model, tokens = network(assign=kind), commands()
    h = model.encoder(model.embedding(tokens))
    whom = model.assign(model.whence(h[:, :, -1]).view(2, 6, TASK.sizes["positions"], 4))
    torch.testing.assert_close(model.read(h), whom @ model.contents(tokens))
    with_memory = model(tokens)
    assert memory_off(model) is model
    torch.testing.assert_close(with_memory - model(tokens), model.recalled(model.read(h)))


@pytest.mark.parametrize("kind", KINDS)
def test_only_argmax_addresses_get_no_gradient(kind: str) -> None:
    model = network(assign=kind)
    model(commands()).square().sum().backward()
    slots = model.slots
    assert model.where.weight.grad is not None
    assert model.where.weight.grad[..., slots].any(), "the gate has a gradient"
    assert model.value.weight.grad is not None
    assert model.value.weight.grad.any(), "the values have a gradient: the memory is written and read"
    reaches = [bool(model.where.weight.grad[..., :slots].any()), model.whence.weight.grad is not None]
    assert reaches == [kind != "argmax"] * 2


def test_straight_through_answers_like_argmax() -> None:
    tokens = commands()
    torch.testing.assert_close(network(assign="straight-through")(tokens), network(assign="argmax")(tokens))


def test_without_memory_it_equals_an_lstm() -> None:
    model = network(memory=False)
    model(commands()).square().sum().backward()
    unused = {name.partition(".")[0] for name, p in model.named_parameters() if p.grad is None}
    assert unused == {"where", "value", "whence", "recalled"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assign": "hard"}, "assign must be one of 'soft'"),
        ({"assign": "gumbel"}, "annealed by batches"),
        ({"slots": 0}, "slots must be at least 1"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**options)
