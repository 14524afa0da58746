"""The binding networks in MLX, for one seed each: tokens [B, L] → logits [B, P, answers].

Equations and options are those of the networks of the same name in memkit/models/. Parameters have the same names,
without the seed axis; initial values are drawn by MLX. The networks are implemented twice on purpose: a replication
that shared code with the original would share its errors. tests/mlx/test_parity.py compares the two implementations.
"""
