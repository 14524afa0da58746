"""The second backend: the networks of the binding study and their trainer in MLX.

A finding that holds in one framework may be a finding about that framework. ``recipe.with_(backend="mlx")`` is the same
recipe trained here: the same task, data and budget, another implementation, and initial values of its own, which MLX
draws. What a claim's test gets is a network that is called like one of torch (:mod:`memkit.mlx.bridge`), so a
replication is measured by the claim's own test.

``memories``   slots, versioned and managed: functions of arrays, as in memkit/memories/
``models``     the networks, one seed each
``trainer``    many seeds of a network in one program, by ``mx.vmap``
``bridge``     arrays and networks, as torch sees them
``losses``     cross-entropy

Needs the extra ``mlx``; nothing here is imported where no recipe asks for it.
"""
