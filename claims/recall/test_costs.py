"""The cost of a memory for its network, and whether it can stay on for a long stream."""

from fixtures.recall.costs import after_stream, shares
from fixtures.recall.recipes import LINFORMER, SLOTS, unseen
from memkit import Contrast, claim

IMM = "IMM experiments"


@claim(
    "recall/share-of-parameters-and-time",
    "Gated slots take less than half of the parameters of their network, and, when an episode is read and four cues "
    "are completed, less than half of the operations and less than two thirds of the time.",
    arms={"slots": SLOTS},
    contrasts=[
        Contrast("slots", over=1 / 2, direction="lower", metric="share of parameters", bounds=(0, 1)),
        Contrast("slots", over=1 / 2, direction="lower", metric="share of operations", bounds=(0, 1)),
        Contrast("slots", over=2 / 3, direction="lower", metric="share of time", assume="normal"),
    ],
    gate=True,
    seeds=16,
    source=f"{IMM}: 0.49 % of the parameters of GPT-2 small, «minimal overhead»; that network is 1,400 times as "
    "large. Operations are those of matrix products. Time is CPU time, the least of nine repetitions, at the time of "
    "the measurement. The first two are the same for every seed; LinformerMemory takes 0.6 and 5 % of its network "
    "here. In attempt 1, which had closer thresholds, normal theory could say nothing about numbers without variance: "
    "INCONCLUSIVE",
)
def test_share_of_parameters_and_time(arms, seed):
    return {name: shares(model, unseen("closed", seed, count=32)) for name, model in arms.items()}


@claim(
    "recall/a-long-stream-does-no-harm",
    "After 2,000 contexts of other text in a row, slots recall more than 70 % of eight facts that are read next, and "
    "for each of the two memories, fewer than half of the networks hold any number that is NaN or infinite.",
    arms={"slots": SLOTS, "LinformerMemory": LINFORMER},
    contrasts=[
        Contrast("slots", over=0.7, metric="exact match", bounds=(0, 1)),
        Contrast("slots", over=0.5, direction="lower", metric="any not finite", bounds=(0, 1)),
        Contrast("LinformerMemory", over=0.5, direction="lower", metric="any not finite", bounds=(0, 1)),
    ],
    gate=True,
    seeds=32,
    source=f"{IMM}, stability: no NaN and no infinite number in some 50 sequences. Checked in what the memory holds, "
    "after every 50 contexts, and in the predictions. In attempt 2 there was none, nothing was forgotten, and normal "
    "theory, which was assumed, says nothing about numbers without variance: INCONCLUSIVE. These limits are what 16 "
    "seeds can say of something that happened in none of them",
)
def test_a_long_stream_does_no_harm(arms, seed):
    return {name: after_stream(model, seed, 2000) for name, model in arms.items()}
