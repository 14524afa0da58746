"""What a memory costs its network, and whether it can be left on."""

from fixtures.recall import LINFORMER, SLOTS, unseen
from fixtures.recall_costs import after_stream, shares
from memkit import Contrast, claim

IMM = "IMM experiments"


@claim(
    "recall/share-of-parameters-and-time",
    "Gated slots take less than a fifth of the network's parameters, and, of what it takes to read an episode and to "
    "complete four cues, less than a quarter of the operations and two thirds of the time; LinformerMemory less than a "
    "hundredth of the parameters and a tenth of the operations.",
    arms={"slots": SLOTS, "LinformerMemory": LINFORMER},
    contrasts=[
        Contrast("slots", over=1 / 5, direction="lower", metric="share of parameters", bounds=(0, 1)),
        Contrast("slots", over=1 / 4, direction="lower", metric="share of operations", assume="normal"),
        Contrast("slots", over=2 / 3, direction="lower", metric="share of time", assume="normal"),
        Contrast("LinformerMemory", over=0.01, direction="lower", metric="share of parameters", assume="normal"),
        Contrast("LinformerMemory", over=0.1, direction="lower", metric="share of operations", assume="normal"),
    ],
    gate=True,
    seeds=8,
    source=f"{IMM}: 0.49 % of parameters, «minimal overhead», of GPT-2 small, in which the memory was as large and the "
    "network 1,400 times. Operations: of matrix products. Time: of a CPU, the least of nine turns, as it was when this "
    "was measured",
)
def test_share_of_parameters_and_time(arms, seed):
    return {name: shares(model, unseen("closed", seed, count=32)) for name, model in arms.items()}


@claim(
    "recall/a-long-stream-does-no-harm",
    "After 2,000 contexts of other text in a row, slots recall more than 95 of 100 of eight facts that are read then, "
    "and no number that either memory held was NaN or infinite.",
    arms={"slots": SLOTS, "LinformerMemory": LINFORMER},
    contrasts=[
        Contrast("slots", over=0.95, metric="exact match", assume="normal"),
        Contrast("slots", over=0.5, direction="lower", metric="not finite", assume="normal"),
        Contrast("LinformerMemory", over=0.5, direction="lower", metric="not finite", assume="normal"),
    ],
    gate=True,
    seeds=8,
    source=f"{IMM}, stability: no NaN and no infinite number in some 50 sequences. How many numbers are not finite: "
    "of what the memory holds, after every 50 contexts, and of the predictions",
)
def test_a_long_stream_does_no_harm(arms, seed):
    return {name: after_stream(model, seed, 2000) for name, model in arms.items()}
