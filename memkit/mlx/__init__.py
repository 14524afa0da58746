"""The MLX backend: the networks of the binding study, and a trainer for them.

A result that holds in one framework may depend on that framework. ``recipe.with_(backend="mlx")`` is the same recipe
trained here: the same task, data and budget, but another implementation, and initial values drawn by MLX. The test of a
claim gets a network that it can call like one of torch (:mod:`memkit.mlx.bridge`), so a replication is measured by the
test of the original claim.

``memories``   slots, versioned slots and managed slots: functions of arrays, as in memkit/memories/
``models``     the networks, for one seed each
``trainer``    trains many seeds of a network in one program, by ``mx.vmap``
``bridge``     converts arrays and networks between torch and MLX
``losses``     cross-entropy

It needs the extra ``mlx``. Nothing here is imported unless a recipe uses this backend.
"""
