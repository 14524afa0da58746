"""The binding networks in MLX: one seed each, tokens [B, L] → logits [B, P, answers].

Equations and options are those of the networks of the same name in memkit/models/; parameters have the same names,
without the seed axis, and initial values are MLX's own draws. They are written a second time on purpose: a replication
by code that is shared would share its faults. tests/mlx/test_parity.py holds the two against each other.
"""
