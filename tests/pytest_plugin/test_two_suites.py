"""Two suites that run at the same time on one store: both reach their verdicts, and no run is trained twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.pytest_plugin.lab import register_claims

SUITE = '''
import dataclasses, os, pathlib, time, uuid
import torch
from memkit import Contrast, Recipe, claim

HERE = pathlib.Path(__file__).parent

class Net(torch.nn.Module):
    def __init__(self, *, hidden=True):
        super().__init__()
        self.first, self.last, self.hidden = torch.nn.Linear(2, 8), torch.nn.Linear(8, 2), hidden
    def forward(self, x):
        x = self.first(x)
        return self.last(torch.tanh(x) if self.hidden else x)

@dataclasses.dataclass(frozen=True)
class Signs:
    """A task that writes a file for every seed that is trained."""
    hidden: bool
    def for_seed(self, generator):
        (HERE / "trained" / f"{generator.initial_seed()}-{self.hidden}-{uuid.uuid4().hex}").touch()
        time.sleep(0.05)
        def draw(generator, size):
            x = torch.rand(size, 2, generator=generator) * 2 - 1
            return x, (x[:, 0] * x[:, 1] > 0).long()
        return draw

def recipe(hidden):
    return Recipe(Signs(hidden), Net, options={"hidden": hidden}, steps=200, lr=0.05)

@claim(
    "lab/hidden-layer",
    "Exclusive or needs a hidden layer.",
    arms={"hidden": recipe(True), "linear": recipe(False)},
    contrasts=[Contrast("hidden", over="linear", metric="accuracy", bounds=(0, 1), assume="normal")],
    gate=True,
    seeds=8,
)
def test_hidden_layer(arms):
    x = torch.rand(500, 2, generator=torch.Generator().manual_seed(1)) * 2 - 1
    y = (x[:, 0] * x[:, 1] > 0).long()
    return {name: (net(x).argmax(1) == y).float().mean() for name, net in arms.items()}
'''


def test_no_run_is_trained_twice(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_lab=SUITE)
    pytester.mkdir("trained")
    register_claims(pytester)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    suites = [
        subprocess.Popen([*command, option, "--evidence", f"reports/{name}.json"], cwd=pytester.path)
        for name, option in (("one", "-n0"), ("two", "-n2"))
    ]
    assert [suite.wait(timeout=240) for suite in suites] == [0, 0]
    counts = Counter(path.name.rsplit("-", 1)[0] for path in (pytester.path / "trained").iterdir())
    assert len(counts) == 2 * 8
    assert set(counts.values()) == {1}
    found = [json.loads((pytester.path / "reports" / f"{name}.json").read_text())["claims"] for name in ("one", "two")]
    assert [claims[0]["judgement"]["verdict"] for claims in found] == ["SUPPORTED", "SUPPORTED"]
    assert found[0][0]["observations"] == found[1][0]["observations"]
