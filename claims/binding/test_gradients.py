"""Gradients: which addresses they reach, and what it costs where they reach none."""

from fixtures.binding.causality import ARGMAX_BY_RULE, ASSIGNED, share_with_a_gradient
from memkit import Contrast, claim, replicated
from memkit.tasks.scoring import accuracy

GRADIENT = "share of the address map that a gradient reaches"


@replicated("mlx")
@claim(
    "binding/argmax-stops-the-gradient",
    "Before training, no gradient reaches the map that makes addresses if a slot is chosen by argmax; it does by soft "
    "addresses, straight-through and Gumbel-softmax.",
    arms=ASSIGNED,
    contrasts=[Contrast(kind, over="argmax", metric=GRADIENT, bounds=(0, 1)) for kind in ASSIGNED if kind != "argmax"],
    source="memory network findings: «the discrete slot assignment (argmax) blocks gradient flow», without a number",
)
def test_argmax_stops_the_gradient(untrained, trained_commands):
    return {name: share_with_a_gradient(model, trained_commands) for name, model in untrained.items()}


@replicated("mlx")
@claim(
    "binding/addresses-without-a-gradient-generalise-less",
    "Where addresses have to be learnt, soft, straight-through and Gumbel-softmax addresses recall values in unseen "
    "combinations more often than argmax, which no gradient reaches.",
    arms=ASSIGNED,
    contrasts=[
        Contrast(kind, over="argmax", metric="accuracy", bounds=(0, 1), sesoi=0.1)
        for kind in ASSIGNED
        if kind != "argmax"
    ],
    source="memory network findings: «gradient flow is blocked»; what that costs was not measured",
)
def test_addresses_without_a_gradient_generalise_less(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/discrete-operations-prevent-learning",
    "Discrete memory operations prevent learning: told by rule where to write, but with slots chosen by argmax, a "
    "network recalls at most half of the values in unseen combinations.",
    arms={"argmax": ARGMAX_BY_RULE},
    contrasts=[Contrast("argmax", over=0.5, metric="accuracy", bounds=(0, 1), direction="lower")],
    expect="refuted",
    source="memory network findings: «the discrete memory operations fundamentally prevent learning». Addresses as "
    "they were drawn do, as long as two variables seldom share one",
)
def test_discrete_operations_prevent_learning(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}
