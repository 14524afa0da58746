"""Every architecture on composed commands, L1 to L4: `X means jump do X twice then Y means walk do Y and X`."""

from fixtures.binding.composition import (
    ARGMAX_MEMORY,
    CROSS_ATTENTION,
    LARGE_ARGMAX_MEMORY,
    LARGE_NO_MEMORY,
    LARGE_POSITIONAL,
    LARGE_SLOTS,
    LARGE_SOFT_MEMORY,
    LARGE_TRANSFORMER,
    LAST_WRITE,
    LONG_CROSS_ATTENTION,
    LONG_POSITIONAL,
    NO_MEMORY,
    POSITIONAL,
    SOFT_MEMORY,
    STRAIGHT_THROUGH_MEMORY,
    UNSEEN_CROSS_ATTENTION,
    UNSEEN_LEARNT,
    UNSEEN_LSTM,
    UNSEEN_MEMORY,
    UNSEEN_POSITIONAL,
    UNSEEN_SLOTS,
    UNSEEN_TRANSFORMER,
    share_of_slots_in_use,
)
from fixtures.binding.figures import attention_of_answers, values_of_words
from fixtures.binding.mutants import with_last_writes
from memkit import Arm, Contrast, claim, mutant, replicated
from memkit.models.memory_network import memory_off
from memkit.tasks.scoring import accuracies, accuracy

FINDINGS = "memory network findings"


@replicated("mlx")
@claim(
    "binding/two-stage-prediction",
    "A two-stage compiler that records when each binding was made answers more than 85 % of the published commands "
    "correctly.",
    arms={"two-stage": POSITIONAL},
    contrasts=[Contrast("two-stage", over=0.85, metric="accuracy", bounds=(0, 1))],
    source=f"{FINDINGS}: «expected accuracy 85-95 %». The table sketched there holds last writes only: at most 240 of "
    "280",
)
def test_two_stage_prediction(arms, every_command, by_pattern):
    return {name: accuracies(model, every_command, by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/cross-attention-prediction",
    "A network that attends over the stated bindings to answer is right on more than 70 % of the published commands.",
    arms={"cross-attention": CROSS_ATTENTION},
    contrasts=[Contrast("cross-attention", over=0.7, metric="accuracy", bounds=(0, 1))],
    source=f"{FINDINGS}: «expected accuracy 70-85 %»",
    figures=[attention_of_answers],
)
def test_cross_attention_prediction(arms, every_command, by_pattern):
    return {name: accuracies(model, every_command, by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/predictions-as-ranges",
    "As predicted, a two-stage compiler answers at most 95 % of the published commands correctly, and cross-attention "
    "at most 85 %.",
    arms={"two-stage": POSITIONAL, "cross-attention": CROSS_ATTENTION},
    contrasts=[
        Contrast("two-stage", over=0.95, metric="accuracy", bounds=(0, 1), direction="lower", assume="normal"),
        Contrast("cross-attention", over=0.85, metric="accuracy", bounds=(0, 1), direction="lower", assume="normal"),
    ],
    expect="refuted",
    source=f"{FINDINGS}: «expected accuracy 85-95 %», «70-85 %»: the upper ends. (With both intervals, an earlier "
    "attempt was undecided: 0.05 and 0.11 are too small for the betting interval.)",
    gate=True,
)
def test_predictions_as_ranges(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/memory-network-cannot-rebind-or-repeat",
    "A memory network with argmax addresses fails on rebinding, and executes `do X twice` only once: it answers at "
    "most half of the published commands of each kind correctly.",
    arms={"argmax": ARGMAX_MEMORY},
    contrasts=[
        Contrast("argmax", over=0.5, metric=metric, bounds=(0, 1), direction="lower")
        for metric in ("L3/rebinding", "L3/twice")
    ],
    expect="refuted",
    source=f"{FINDINGS}: «rebinding fails», «do X twice → executes once»; trained on these commands, as in the source",
)
def test_memory_network_cannot_rebind_or_repeat(arms, every_command, by_pattern):
    return {name: accuracies(model, every_command, by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/memory-stays-zero",
    "After training, a memory network's slots stay at zero: after a forward pass, at most half of the slots hold "
    "numbers with a standard deviation above a hundredth.",
    arms={"argmax": ARGMAX_MEMORY, "soft": SOFT_MEMORY},
    contrasts=[
        Contrast(name, over=0.5, metric="share of slots in use", bounds=(0, 1), direction="lower")
        for name in ("argmax", "soft")
    ],
    expect="refuted",
    source=f"{FINDINGS}: «X (slot 0): mean=0.0000, std=0.0000», printed after a reset",
)
def test_memory_stays_zero(arms, every_command):
    return {name: share_of_slots_in_use(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/predictions-hold-for-unseen-combinations",
    "In a larger vocabulary, both predictions hold for combinations that were never trained on: the two-stage "
    "compiler answers more than 85 % correctly, and cross-attention more than 70 %.",
    arms={"two-stage": LONG_POSITIONAL, "cross-attention": LONG_CROSS_ATTENTION},
    contrasts=[
        Contrast("two-stage", over=0.85, metric="accuracy", bounds=(0, 1)),
        Contrast("cross-attention", over=0.7, metric="accuracy", bounds=(0, 1)),
    ],
    source=f"{FINDINGS}, whose numbers are for commands that the networks are trained on",
    seeds=40,
    gate=True,
)
def test_predictions_hold_for_unseen_combinations(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@mutant("times of binding forgotten", arm="positional", by=with_last_writes)
@replicated("mlx")
@claim(
    "binding/last-write-fails-on-rebinding",
    "A compiler whose table holds only each name's last value fails where a name is bound again; a compiler whose "
    "table records when each binding was made does not.",
    arms={"positional": POSITIONAL, "last-write": LAST_WRITE},
    contrasts=[
        Contrast("positional", over="last-write", metric="L3/rebinding", bounds=(0, 1), sesoi=0.1),
        Contrast("positional", over=0.5, metric="L3/rebinding", bounds=(0, 1)),
        Contrast("last-write", over=0.5, metric="L3/rebinding", bounds=(0, 1), direction="lower"),
    ],
    figures=[values_of_words],
    headline=True,
    source="the source's code, rerun: 0 of 72. Here 1/3 by construction: a guess among the other actions",
    deterministic=True,
)
def test_last_write_fails_on_rebinding(arms, every_command, by_pattern):
    return {name: accuracies(model, every_command, by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/argmax-memory-is-bypassed",
    "A memory network with argmax addresses answers the published commands as well without its memory as with it; the "
    "same network with soft addresses does not.",
    arms={
        "argmax": ARGMAX_MEMORY,
        "argmax, off": Arm(ARGMAX_MEMORY, memory_off),
        "soft": SOFT_MEMORY,
        "soft, off": Arm(SOFT_MEMORY, memory_off),
    },
    contrasts=[Contrast("argmax", over="argmax, off", metric="accuracy", bounds=(0, 1), sesoi=0.2)],
    positive_control=Contrast("soft", over="soft, off", metric="accuracy", bounds=(0, 1)),
    expect="equivalent",
    source=f"{FINDINGS}: «the model learns to bypass memory entirely», inferred there from slots printed after a reset",
)
def test_argmax_memory_is_bypassed(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/addresses-with-a-gradient-are-used",
    "Soft and straight-through addresses receive a gradient, and a network with such addresses needs its memory to "
    "answer: on the same weights, it is right more often with the memory than without.",
    arms={
        "soft": SOFT_MEMORY,
        "soft, off": Arm(SOFT_MEMORY, memory_off),
        "straight-through": STRAIGHT_THROUGH_MEMORY,
        "straight-through, off": Arm(STRAIGHT_THROUGH_MEMORY, memory_off),
    },
    contrasts=[
        Contrast(name, over=f"{name}, off", metric="accuracy", bounds=(0, 1), sesoi=0.1)
        for name in ("soft", "straight-through")
    ],
    source=f"{FINDINGS}: «discrete slot assignment (argmax) blocks gradient flow». This tests a consequence",
)
def test_addresses_with_a_gradient_are_used(arms, every_command):
    return {name: accuracy(model, every_command) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/published-commands-need-no-memory",
    "On the commands that it is trained on, a memory network is no better than the same network trained without a "
    "memory, which answers most of them correctly (sesoi: one in five).",
    arms={"argmax": ARGMAX_MEMORY, "soft": SOFT_MEMORY, "no memory": NO_MEMORY},
    contrasts=[
        Contrast(name, over="no memory", metric="accuracy", bounds=(0, 1), sesoi=0.2) for name in ("argmax", "soft")
    ],
    positive_control=Contrast("no memory", over=0.5, metric="accuracy", bounds=(0, 1)),
    expect="equivalent",
    source=f"{FINDINGS}: «pattern matching alone can achieve ~50 % accuracy». It achieves more",
)
def test_published_commands_need_no_memory(arms, every_command, by_pattern):
    return {name: accuracies(model, every_command, by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/memory-carries-over",
    "In unseen combinations of a larger vocabulary, a memory network with soft addresses is right more often than the "
    "same network trained without a memory, and more often than one with argmax addresses.",
    arms={"argmax": LARGE_ARGMAX_MEMORY, "soft": LARGE_SOFT_MEMORY, "no memory": LARGE_NO_MEMORY},
    contrasts=[
        Contrast("soft", over=control, metric="accuracy", bounds=(0, 1), sesoi=0.1)
        for control in ("no memory", "argmax")
    ],
    source=f"{FINDINGS}, which had four actions: few enough to learn every command without a memory",
)
def test_memory_carries_over(arms, held_out, held_out_by_pattern):
    return {name: accuracies(model, held_out, held_out_by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/argmax-memory-carries-over",
    "In unseen combinations of a larger vocabulary, a memory with argmax addresses helps too: addresses that keep "
    "their random initial values are good enough for writing and reading.",
    arms={"argmax": LARGE_ARGMAX_MEMORY, "no memory": LARGE_NO_MEMORY},
    contrasts=[Contrast("argmax", over="no memory", metric="accuracy", bounds=(0, 1), sesoi=0.1)],
    source=f"{FINDINGS}: «the discrete memory operations fundamentally prevent learning»; they hinder it",
    seeds=32,
    gate=True,
)
def test_argmax_memory_carries_over(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/bindings-in-the-architecture-generalise",
    "In held-out combinations of the published commands, slots, a two-stage compiler and cross-attention over "
    "bindings are each right more often than an LSTM and a Transformer of their size and budget.",
    arms={
        "slots": UNSEEN_SLOTS,
        "two-stage": UNSEEN_POSITIONAL,
        "cross-attention": UNSEEN_CROSS_ATTENTION,
        "lstm": UNSEEN_LSTM,
        "transformer": UNSEEN_TRANSFORMER,
    },
    contrasts=[
        Contrast(name, over=control, metric="accuracy", bounds=(0, 1), sesoi=0.1)
        for name in ("slots", "two-stage", "cross-attention")
        for control in ("lstm", "transformer")
    ],
    source="not in the sources, which tested on the training commands. The two-stage compiler is told which words bind",
)
def test_bindings_in_the_architecture_generalise(arms, held_out, held_out_by_pattern):
    return {name: accuracies(model, held_out, held_out_by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/slots-over-memory-network",
    "Factorised slots answer held-out combinations of the published commands correctly more often than the memory "
    "network.",
    arms={"slots": UNSEEN_SLOTS, "memory network": UNSEEN_MEMORY},
    contrasts=[Contrast("slots", over="memory network", metric="accuracy", bounds=(0, 1), sesoi=0.1)],
    source="not in the sources",
)
def test_slots_over_memory_network(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/slots-do-not-parse",
    "In a larger vocabulary, slots that are addressed by the last three tokens lose their lead: in unseen "
    "combinations they are right no more often than a Transformer (sesoi: one in five), whereas a two-stage compiler "
    "is right more often.",
    arms={"slots": LARGE_SLOTS, "transformer": LARGE_TRANSFORMER, "two-stage": LARGE_POSITIONAL},
    contrasts=[Contrast("slots", over="transformer", metric="accuracy", bounds=(0, 1), sesoi=0.2)],
    positive_control=Contrast("two-stage", over="transformer", metric="accuracy", bounds=(0, 1)),
    expect="equivalent",
    seeds=48,
    source="not in the sources",
)
def test_slots_do_not_parse(arms, held_out, held_out_by_pattern):
    return {name: accuracies(model, held_out, held_out_by_pattern) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/memory-network-over-slots",
    "In unseen combinations of a larger vocabulary, an LSTM with softly addressed slots is right more often than "
    "slots that are addressed by the last three tokens.",
    arms={"memory network": LARGE_SOFT_MEMORY, "slots": LARGE_SLOTS},
    contrasts=[Contrast("memory network", over="slots", metric="accuracy", bounds=(0, 1), sesoi=0.1)],
    source="not in the sources; in their smaller vocabulary it is the other way round",
)
def test_memory_network_over_slots(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/the-extractor-can-be-learnt",
    "With an extractor that is trained together with its executor, without rules, a Transformer answers more commands "
    "in held-out combinations correctly than without one; with the rule-based extractor it answers still more.",
    arms={"rule": UNSEEN_POSITIONAL, "learnt": UNSEEN_LEARNT, "transformer": UNSEEN_TRANSFORMER},
    contrasts=[
        Contrast("learnt", over="transformer", metric="accuracy", bounds=(0, 1), sesoi=0.1),
        Contrast("rule", over="learnt", metric="accuracy", bounds=(0, 1), sesoi=0.1),
    ],
    figures=[values_of_words],
    source=f"{FINDINGS}: «can be made fully neural later by replacing the rule-based extractor»",
    seeds=32,
    gate=True,
)
def test_the_extractor_can_be_learnt(arms, held_out):
    return {name: accuracy(model, held_out) for name, model in arms.items()}
