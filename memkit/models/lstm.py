"""The recurrent control: an LSTM, which has to keep everything that it reads in its state.

    e_t = E[token_t]                                tokens [S, B, L] → [S, B, L, d]
    h_t, c_t = LSTM(e_t, h_{t−1}, c_{t−1})          `layers` times   → [S, B, L, d]
    logits_p = W_p h_L + b_p                                         → [S, B, P, answers]

State size: 2·layers·width numbers per sequence.
"""

from __future__ import annotations

from torch import Tensor, nn

from memkit.models.layers import LSTM, Embedding, Generators, Linear, split_positions


class LSTMNetwork(nn.Module):
    """An LSTM that reads the command and answers from its last state.

    ``length`` is accepted because every network is given the sizes of its task; a recurrent network does not need it.

    >>> import torch
    >>> from memkit.models import LSTMNetwork
    >>> task = {"tokens": 12, "answers": 5, "positions": 2, "length": 6}
    >>> generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    >>> network = LSTMNetwork(generators=generators, **task, width=16)
    >>> network(torch.randint(1, 12, (2, 8, 6))).shape  # 2 seeds, 8 commands of 6 tokens, 2 answers each
    torch.Size([2, 8, 2, 5])
    """

    seed_axis = True

    def __init__(
        self,
        *,
        generators: Generators,
        tokens: int,
        answers: int,
        positions: int,
        length: int,
        width: int = 64,
        layers: int = 1,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.positions = positions
        self.length = length
        self.state_size = 2 * layers * width
        self.embedding = Embedding(generators, tokens, width)
        self.layers = nn.ModuleList(LSTM(generators, width, width) for _ in range(layers))
        self.decoder = Linear(generators, width, positions * answers)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits [S, B, P, answers] for tokens [S, B, L]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return split_positions(self.decoder(x[:, :, -1]), self.positions)
