"""Gradients: which addresses they reach, and what it costs if they reach none."""

from fixtures.binding.causality import ARGMAX_BY_RULE, ASSIGNED, share_with_a_gradient
from memkit import Contrast, claim, replicated
from memkit.tasks.scoring import accuracy

GRADIENT = "share of the address map that a gradient reaches"


@replicated("mlx")
@claim(
    "binding/argmax-stops-the-gradient",
    "Before training, no gradient reaches the map from words to addresses if slots are chosen by argmax; with soft, "
    "straight-through and Gumbel-softmax addresses, one does.",
    arms=ASSIGNED,
    contrasts=[Contrast(kind, over="argmax", metric=GRADIENT, bounds=(0, 1)) for kind in ASSIGNED if kind != "argmax"],
    source="memory network findings: «the discrete slot assignment (argmax) blocks gradient flow», without a number",
)
def test_argmax_stops_the_gradient(untrained, trained_commands):
    return {name: share_with_a_gradient(model, trained_commands) for name, model in untrained.items()}


@replicated("mlx")
@claim(
    "binding/addresses-without-a-gradient-generalise-less",
    "Where addresses have to be learnt, networks with soft, straight-through and Gumbel-softmax addresses recall "
    "values in unseen combinations more often than networks with argmax addresses, which no gradient reaches.",
    arms=ASSIGNED,
    contrasts=[
        Contrast(kind, over="argmax", metric="accuracy", bounds=(0, 1), sesoi=0.1)
        for kind in ASSIGNED
        if kind != "argmax"
    ],
    source="memory network findings: «gradient flow is blocked»; the cost was not measured",
)
def test_addresses_without_a_gradient_generalise_less(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/discrete-operations-prevent-learning",
    "Discrete memory operations prevent learning: a network that is told by a rule where to write, but chooses slots "
    "by argmax, recalls at most half of the values in unseen combinations.",
    arms={"argmax": ARGMAX_BY_RULE},
    contrasts=[Contrast("argmax", over=0.5, metric="accuracy", bounds=(0, 1), direction="lower")],
    expect="refuted",
    source="memory network findings: «the discrete memory operations fundamentally prevent learning». Addresses with "
    "their random initial values are good enough, as long as two variables seldom share one",
)
def test_discrete_operations_prevent_learning(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}
