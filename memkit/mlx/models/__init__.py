"""The binding networks in MLX: one seed each, tokens [B, L] → logits [B, P, answers].

Equations and options are those of the networks of the same name in memkit/models/; parameters have the same names,
without the seed axis. Nothing is shared but that: initial values are MLX's own draws.
"""
