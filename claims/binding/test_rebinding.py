"""Rebinding: `X means jump do X then X means walk do X` asks for JUMP, then WALK."""

from fixtures.binding.mutants import adding_up
from fixtures.binding.recipes import REBINDING_SLOTS
from memkit import Contrast, claim, mutant, replicated
from memkit.tasks.scoring import position_accuracy


@mutant("writes adding up", arm="overwriting", by=adding_up, sesoi=0.3)
@replicated("mlx")
@claim(
    "binding/rebinding-needs-overwriting",
    "The present value of a variable that was bound again is recalled more often if a write replaces the contents of "
    "a slot than if it adds to them.",
    arms={"overwriting": REBINDING_SLOTS.with_(memory="overwriting"), "additive": REBINDING_SLOTS},
    contrasts=[
        Contrast("overwriting", over="additive", metric="accuracy on the second action", bounds=(0, 1), sesoi=0.1)
    ],
    source="memory network findings: «rebinding fails». Measured when its code was rerun: 45 to 50 % with additive "
    "writes, whose ceiling is 1/2, and 100 % with overwriting ones",
    headline=True,
    deterministic=True,
)
def test_rebinding_needs_overwriting(arms, every_command):
    return {name: position_accuracy(model, every_command, 1) for name, model in arms.items()}
