"""Full binding: `X means jump do X twice` asks for JUMP JUMP; a changed binding must change the answer."""

from fixtures.binding.mutants import emptied
from fixtures.binding.recipes import EXECUTION_SLOTS
from memkit import Contrast, claim, mutant, replicated
from memkit.tasks.scoring import accuracy, pair_accuracy

DIARY = "research diary, 29 July 2025"


@mutant("memory emptied", arm="dynamic", by=emptied, sesoi=0.5)
@replicated("mlx")
@claim(
    "binding/modification-needs-dynamic-memory",
    "Changing a binding changes a slot network's answer only if its memory is written at run time.",
    arms={"dynamic": EXECUTION_SLOTS, "static": EXECUTION_SLOTS.with_(memory="static")},
    contrasts=[
        Contrast("dynamic", over="static", metric="share of pairs with both answers right", bounds=(0, 1), sesoi=0.1)
    ],
    source=f"{DIARY}: 66.7 % of three pairs against 0 %; here all 90 pairs",
    headline=True,
)
def test_modification_needs_dynamic_memory(arms, modifications):
    return {name: pair_accuracy(model, modifications) for name, model in arms.items()}


@replicated("mlx")
@claim(
    "binding/full-binding",
    "With a memory that is written at run time, a network carries out a bound action once, twice or three times, as "
    "the command says.",
    arms={"dynamic": EXECUTION_SLOTS},
    contrasts=[Contrast("dynamic", over=0.2, metric=metric, bounds=(0, 1)) for metric in ("once", "twice", "thrice")],
    source=f"{DIARY}: 84.38 %, the ceiling of a readout with two positions, which has no room for `thrice`",
)
def test_full_binding(arms, by_modifier):
    return {
        name: {metric: accuracy(model, commands) for metric, commands in by_modifier.items()}
        for name, model in arms.items()
    }
