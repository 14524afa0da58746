"""Claims about custom modules: a recurrent network can tell the order of two marks, a bag of tokens cannot."""

import torch
from order import Bag, Recurrent, marks

from memkit import Contrast, Recipe, claim

RECURRENT = Recipe(marks, Recurrent, steps=300, lr=0.01, tuning="none")
BAG = Recipe(marks, Bag, steps=300, lr=0.01, tuning="none")
ACCURACY = {"metric": "accuracy", "bounds": (0, 1)}


def accuracy(models, seed):
    """Return the accuracy of each model on 1,000 sequences that it was not trained on."""
    x, y = marks(torch.Generator().manual_seed(10**6 + seed), 1000)
    return {name: (model(x).argmax(-1) == y).double().mean() for name, model in models.items()}


@claim(
    "order/a-recurrent-network-knows-it",
    "A recurrent network tells which of two marks came first more accurately than a bag of tokens and than chance.",
    arms={"recurrent": RECURRENT, "bag": BAG},
    contrasts=[Contrast("recurrent", over="bag", **ACCURACY), Contrast("recurrent", over=0.5, **ACCURACY)],
    headline=True,
)
def test_a_recurrent_network_knows_it(arms, seed):
    return accuracy(arms, seed)


@claim(
    "order/a-bag-knows-it",
    "A bag of tokens tells which of two marks came first more accurately than chance.",
    arms={"bag": BAG},
    contrasts=[Contrast("bag", over=0.5, **ACCURACY)],
    expect="not_supported",
    seeds=8,
)
def test_a_bag_knows_it(arms, seed):
    return accuracy(arms, seed)
