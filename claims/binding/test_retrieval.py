"""One variable: `X is jump recall X`. What a network needs to recall a value given at run time."""

from fixtures.binding.mutants import ShiftedAnswers, emptied
from fixtures.binding.recipes import ONE_VARIABLE_LSTM, ONE_VARIABLE_TRANSFORMER, RETRIEVAL_SLOTS
from memkit import Contrast, claim, mutant, replicated
from memkit.tasks.scoring import accuracy

DIARY = "research diary, 29 July 2025"
STATIC = RETRIEVAL_SLOTS.with_(memory="static")
DYNAMIC_OVER_CHANCE = Contrast("dynamic", over=0.2, metric="accuracy", bounds=(0, 1))


@mutant("memory emptied", arm="dynamic", by=emptied, sesoi=0.5)
@replicated("mlx", headline=True)
@claim(
    "binding/retrieval-needs-dynamic-memory",
    "To recall a value that is given at run time, a slot network needs a memory that is written at run time.",
    arms={"dynamic": RETRIEVAL_SLOTS, "static": STATIC},
    contrasts=[
        Contrast("dynamic", over="static", metric="accuracy", bounds=(0, 1), sesoi=0.1),
        DYNAMIC_OVER_CHANCE,
    ],
    source=f"{DIARY}: 100 % against 17.71 %",
    headline=True,
    deterministic=True,
)
def test_retrieval_needs_dynamic_memory(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/static-memory-stays-at-its-ceiling",
    "A memory of learnt constants recalls one action in five, and not two (sesoi: one in five).",
    arms={"static": STATIC, "dynamic": RETRIEVAL_SLOTS},
    contrasts=[Contrast("static", over=0.2, metric="accuracy", bounds=(0, 1), sesoi=0.2)],
    positive_control=DYNAMIC_OVER_CHANCE,
    expect="equivalent",
    source=f"{DIARY}: 17.71 %, scored on samples. A slot that is read by the variable alone gives one answer per "
    "variable, and each of five actions is right once: 3 of 15 commands, by construction",
    deterministic=True,
)
def test_static_memory_stays_at_its_ceiling(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@mutant("answers confused", arm="transformer", by=ShiftedAnswers, sesoi=0.4)
@replicated("mlx")
@claim(
    "binding/context-networks-bind-one-variable",
    "Networks without a memory recall the value of one variable, even in combinations of variable and action that "
    "they were never trained on: the value is in their context.",
    arms={"lstm": ONE_VARIABLE_LSTM, "transformer": ONE_VARIABLE_TRANSFORMER},
    contrasts=[
        Contrast("lstm", over=0.2, metric="accuracy", bounds=(0, 1)),
        Contrast("transformer", over=0.2, metric="accuracy", bounds=(0, 1)),
    ],
    source="not in the source, which compared slots with slots; with a single value in the context, copying is enough",
    headline=True,
)
def test_context_networks_bind_one_variable(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/static-parameters-cannot-bind",
    "Static parameters cannot bind: a network without dynamic memory recalls at most one value in five.",
    arms={"lstm": ONE_VARIABLE_LSTM, "transformer": ONE_VARIABLE_TRANSFORMER},
    contrasts=[
        Contrast("lstm", over=0.2, metric="accuracy", bounds=(0, 1), direction="lower"),
        Contrast("transformer", over=0.2, metric="accuracy", bounds=(0, 1), direction="lower"),
    ],
    expect="refuted",
    source=f"{DIARY}: «Variable binding requires dynamic storage». True of the slots compared there, not of networks "
    "in general",
)
def test_static_parameters_cannot_bind(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}
