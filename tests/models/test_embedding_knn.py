"""The vote of nearest neighbours against that of scikit-learn."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from memkit.models.embedding_knn import EmbeddingKNN
from memkit.models.feedforward import FeedForwardNetwork
from memkit.training.streams import generator


def network(seeds: int = 1) -> FeedForwardNetwork:
    generators = [generator(seed, "initial values") for seed in range(seeds)]
    return FeedForwardNetwork(generators=generators, inputs=(4, 4), classes=3, widths=(12, 6))


def images(count: int, name: str) -> tuple[Tensor, Tensor]:
    g = generator(0, name)
    return torch.rand(1, count, 4, 4, generator=g), torch.randint(3, (1, count), generator=g)


@pytest.mark.parametrize("placement", ["early", "penultimate"])
@pytest.mark.parametrize(("weights", "reference"), [("uniform", "uniform"), ("inverse", "distance")])
def test_votes_are_those_of_scikit_learn(placement: str, weights: str, reference: str) -> None:
    model = EmbeddingKNN(network(), [generator(0, "m")], capacity=40, placement=placement, k=5, weights=weights).eval()
    stored, asked = images(40, "stored"), images(30, "asked")
    model.remember(*stored)
    layer = 0 if placement == "early" else 1
    known, query = (model.network.before(x, layer)[0].detach().numpy() for x in (stored[0], asked[0]))
    other = KNeighborsClassifier(5, weights=reference, algorithm="brute").fit(known, stored[1][0].numpy())
    votes = model(asked[0])[0].exp() - 1e-3
    assert torch.allclose(votes.double(), torch.from_numpy(other.predict_proba(query)), atol=2e-4)


def test_a_certain_network_outweighs_the_vote() -> None:
    plain = network().eval()
    with torch.no_grad():
        plain.output.bias += torch.tensor([50.0, 0.0, 0.0])
    stored, asked = images(40, "stored"), images(30, "asked")
    model = EmbeddingKNN(plain, [generator(0, "m")], capacity=40, mixed=4.0).eval()
    model.remember(stored[0], torch.ones_like(stored[1]))
    assert (model(asked[0]).argmax(-1) == 0).all()


def test_a_mixture_follows_its_equation() -> None:
    plain = network().eval()
    stored, asked = images(40, "stored"), images(30, "asked")
    votes, mixture = (EmbeddingKNN(plain, [generator(0, "m")], capacity=40, mixed=m).eval() for m in (None, 0.7))
    for model in (votes, mixture):
        model.remember(*stored)
    q = torch.softmax(plain(asked[0]), -1)
    share = 0.7 * -(q * q.log()).sum(-1, keepdim=True) / math.log(3)
    expected = (1 - share) * q + share * (votes(asked[0]).exp() - 1e-3)
    assert torch.allclose(mixture(asked[0]).exp() - 1e-3, expected, atol=1e-6)


def test_seeds_vote_independently() -> None:
    several = EmbeddingKNN(network(2), [generator(s, "m") for s in range(2)], capacity=40).eval()
    stored, asked = images(40, "stored"), images(30, "asked")
    several.remember(*(x.expand(2, *x.shape[1:]) for x in stored))
    one = EmbeddingKNN(network(), [generator(0, "m")], capacity=40).eval()
    one.remember(*stored)
    assert torch.allclose(several(asked[0].expand(2, -1, -1, -1))[:1], one(asked[0]), atol=1e-5)
