"""The normalised entropy, and mixtures weighted by it."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import entropy

from memkit.models.doubt import mix_by_uncertainty, normalised_entropy

LOGITS = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OTHER = torch.softmax(torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64), -1)


def test_normalised_entropy_is_the_entropy_divided_by_its_maximum() -> None:
    expected = entropy(torch.softmax(LOGITS, -1).numpy(), base=4, axis=-1)
    assert torch.allclose(normalised_entropy(LOGITS), torch.from_numpy(expected))
    assert normalised_entropy(torch.zeros(7)) == pytest.approx(1)
    assert normalised_entropy(torch.tensor([60.0, 0.0, 0.0])) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("strength", [0.0, 0.7, 100.0])
def test_a_mixture_lies_between_both_distributions(strength: float) -> None:
    mixed = mix_by_uncertainty(LOGITS, OTHER, strength)
    assert torch.allclose(mixed.sum(-1), torch.ones(2, 5, dtype=torch.float64))
    share = (strength * normalised_entropy(LOGITS)).clamp(max=1).unsqueeze(-1)
    assert torch.allclose(mixed, torch.lerp(torch.softmax(LOGITS, -1), OTHER, share))
    if strength == 0:
        assert torch.allclose(mixed, torch.softmax(LOGITS, -1))
    if strength == 100:
        assert torch.allclose(mixed, OTHER)
