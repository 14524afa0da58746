"""Mutants in a real pytest run: those of a sound claim are not supported, and one that is supported fails the run."""

from __future__ import annotations

import pytest

from tests import inner
from tests.inner import needs_torch
from tests.pytest_plugin.lab import HEAD, INLINE, evidence, register_claims

pytestmark = needs_torch

SUITE = """
    import torch
    from memkit import Recipe, mutant
    from model import Net, constant, silenced, task, untouched

    RECIPE = Recipe(task, Net, steps=150, lr=0.05)

    @mutant("signal silenced", arm="net", by={by}, seeds={seeds})
    @claim(
        "lab/one",
        "A trained network is right more often than by chance.",
        arms={{"net": RECIPE}},
        contrasts=[Contrast("net", over={chance}, metric="accuracy", bounds=(0, 1))],
        headline=True,
        seeds={seeds},
    )
    def test_one(arms):
        x, y = task(torch.Generator().manual_seed(1), 400)
        return {{name: float((net(x).argmax(1) == y).float().mean()) for name, net in arms.items()}}
"""
MODEL = """
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.map = torch.nn.Linear(1, 2)
            self.gain = 1.0

        def forward(self, x):
            return self.map(self.gain * x) * torch.tensor([1.0, 1.0])

    def task(generator, size):
        x = torch.rand(size, 1, generator=generator) * 2 - 1
        return x, (x[:, 0] > 0).long()

    def silenced(net):
        net.gain = -1.0
        return net

    def constant(net):
        net.gain = 0.0
        return net

    def untouched(net):
        return net
"""


def run(pytester: pytest.Pytester, by: str, chance: float, *arguments: str, seeds: int = 8) -> pytest.RunResult:
    pytester.makepyfile(test_lab=HEAD + SUITE.format(by=by, chance=chance, seeds=seeds), model=MODEL)
    register_claims(pytester)
    return inner.run(pytester, INLINE, *arguments)


def test_the_mutant_of_a_sound_claim_is_refuted(pytester: pytest.Pytester) -> None:
    assert run(pytester, "silenced", 0.5).ret == 0
    found = evidence(pytester)
    assert found["lab/one"]["judgement"]["verdict"] == "SUPPORTED"
    assert found["lab/one/mutant-signal-silenced"]["judgement"]["verdict"] == "REFUTED"
    page = (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")
    assert "failed, as it should" in page


def test_a_mutant_that_is_supported_fails_the_run(pytester: pytest.Pytester) -> None:
    """Compared with so low a value, even a network that always gives the same answer is supported."""
    result = run(pytester, "constant", 0.1, seeds=32)
    assert result.ret == 1
    found = evidence(pytester)["lab/one/mutant-signal-silenced"]
    assert (found["judgement"]["verdict"], found["outcome"]["outcome"]) == ("SUPPORTED", "failed")
    result.stdout.fnmatch_lines(["Not as registered: 1 mutant."])


def test_a_mutation_that_changes_nothing_leaves_the_mutant_incomplete(pytester: pytest.Pytester) -> None:
    result = run(pytester, "untouched", 0.5)
    assert result.ret == 1
    found = evidence(pytester)["lab/one/mutant-signal-silenced"]
    assert found["judgement"]["verdict"] == "INCOMPLETE"
    result.stdout.fnmatch_lines(["*net, intact over net*"])


def test_a_headline_claim_without_a_mutant_is_reported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_lab=HEAD + SUITE.format(by="silenced", chance=0.5, seeds=8).replace("    @mutant", "    # @mutant")
    )
    pytester.makepyfile(model=MODEL)
    register_claims(pytester)
    assert inner.run(pytester, INLINE).ret == 0
    assert "has no mutant in this run" in (pytester.path / "reports" / "evidence.html").read_text(encoding="utf-8")


SEEDED = """
    import torch
    from memkit import Arm, Recipe, mutant
    from memkit.evidence.figures import Lines, Series
    from model import Net, silenced, task, told

    RECIPE = Recipe(task, Net, steps=150, lr=0.05)

    def curve(arms, trained):
        steps, losses = zip(*trained["net"].history)
        return Lines("Training", "step", "loss", [Series("net", steps, losses)])

    @mutant("signal silenced", arm="net", by=silenced, seeds=8)
    @claim(
        "lab/one",
        "A trained network is right more often than by chance.",
        arms={"net": Arm(RECIPE, told)},
        contrasts=[Contrast("net", over=0.5, metric="accuracy", bounds=(0, 1))],
        requires=[Contrast("net", over=0.0, metric="gain", bounds=(0, 1), margin=0.1)],
        headline=True,
        seeds=16,
        figures=[curve],
    )
    def test_one(arms, seed):
        assert all(net.seed == seed for net in arms.values())
        x, y = task(torch.Generator().manual_seed(1), 400)
        return {
            name: {"accuracy": float((net(x).argmax(1) == y).float().mean()), "gain": max(net.gain, 0.0)}
            for name, net in arms.items()
        }
"""


def test_interventions_receive_the_seed_and_preconditions_apply_to_the_intact_arm(pytester: pytest.Pytester) -> None:
    told = "\n    def told(net, seed):\n        net.seed = seed\n        return net\n"
    pytester.makepyfile(test_lab=HEAD + SEEDED, model=MODEL + told)
    register_claims(pytester)
    assert inner.run(pytester, INLINE).ret == 0
    found = evidence(pytester)
    assert found["lab/one"]["judgement"]["verdict"] == "SUPPORTED"
    assert found["lab/one/mutant-signal-silenced"]["judgement"]["verdict"] == "REFUTED"
    (lines,) = found["lab/one"]["figures"]
    assert lines["series"][0]["x"][-1] == 150
