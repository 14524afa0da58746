"""The recurrent control: everything it is told has to fit in its state.

    e_t = E[token_t]                                tokens [S, B, L] → [S, B, L, d]
    h_t, c_t = LSTM(e_t, h_{t−1}, c_{t−1})          `layers` times   → [S, B, L, d]
    logits_p = W_p h_L + b_p                                         → [S, B, P, answers]

State size: 2·layers·width numbers a sequence.
"""

from __future__ import annotations

from torch import Tensor, nn

from memkit.models.layers import LSTM, Embedding, Generators, Linear, by_position


class LSTMNetwork(nn.Module):
    """An LSTM that reads the command and answers from its last state.

    ``length`` is taken because every network takes its task's sizes; a recurrent one does not need it.
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
        """Tokens [S, B, L] → logits [S, B, P, answers]."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return by_position(self.decoder(x[:, :, -1]), self.positions)
