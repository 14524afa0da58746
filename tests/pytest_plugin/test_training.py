"""Claims with trained models: cohorts that train before the items run, the store, and faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from memkit.store.measurements import load_measurement, revoke_measurement, save_measurement
from memkit.store.store import Store
from tests.inner import command, needs_torch, run
from tests.pytest_plugin.lab import INLINE, evidence, register_claims, register_suite

pytestmark = needs_torch

NETS = '''
"""Exclusive or, learnt by a network with and without a hidden layer."""
import torch

class Net(torch.nn.Module):
    def __init__(self, *, hidden=True):
        super().__init__()
        self.first, self.last = torch.nn.Linear(2, 16), torch.nn.Linear(16, 2)
        self.hidden = hidden
    def forward(self, x):
        x = self.first(x)
        return self.last(torch.tanh(x) if self.hidden else x)

def xor(generator, size):
    x = torch.rand(size, 2, generator=generator) * 2 - 1
    return x, (x[:, 0] * x[:, 1] > 0).long()
'''

CLAIMS = """
import torch
from memkit import Arm, Contrast, Recipe, claim
from nets import Net, xor

XOR = Recipe(xor, Net, steps=STEPS, lr=0.05)

def score(models):
    x, y = xor(torch.Generator().manual_seed(1), 500)
    return {name: (net(x).argmax(1) == y).float().mean() for name, net in models.items()}

@claim(
    "lab/hidden-layer",
    "Exclusive or is learnt with a hidden layer, and not without one.",
    arms={"hidden": XOR, "linear": XOR.with_(hidden=False)},
    contrasts=[Contrast("hidden", over="linear", metric="accuracy", bounds=(0, 1))],
)
def test_hidden_layer(arms):
    return score(arms)

@claim(
    "lab/no-hidden-layer",
    "Exclusive or is learnt better without a hidden layer.",
    arms={"hidden": XOR, "linear": XOR.with_(hidden=False)},
    contrasts=[Contrast("linear", over="hidden", metric="accuracy", bounds=(0, 1))],
)
def test_no_hidden_layer(arms):
    return score(arms)
"""


def write_suite(pytester: pytest.Pytester, steps: int = 150, expect: str = "supported") -> None:
    claims = CLAIMS.replace("STEPS", str(steps)).replace("    arms=", f'    expect="{expect}",\n    arms=')
    pytester.makepyfile(nets=NETS, test_nets=claims)
    register_suite(pytester, claims)


def trained(pytester: pytest.Pytester) -> list[int]:
    """Return the seeds of all runs in the store, recipe by recipe."""
    return [int(path.parent.name) for path in sorted((pytester.path / ".memkit" / "runs").rglob("manifest.json"))]


@pytest.mark.parametrize("how", ["-n0", "-n1"])
def test_models_are_trained_once_and_a_false_claim_fails(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester)

    first = run(pytester, how, "-ra")

    assert first.ret == pytest.ExitCode.TESTS_FAILED
    first.stdout.fnmatch_lines(
        [
            "*16 runs to train for the first look, time unknown: never trained before*",
            "FAILED*lab/no-hidden-layer: expected supported, found REFUTED",
        ]
    )
    entry = evidence(pytester)["lab/hidden-layer"]
    assert entry["judgement"]["verdict"] == "SUPPORTED"
    assert entry["judgement"]["decided_at"] == 11
    assert trained(pytester) == 2 * list(range(10000, 10012))  # nothing for the looks that were not needed
    assert entry["arms"]["hidden"]["parameters"] == 2 * 16 + 16 + 16 * 2 + 2
    assert entry["cost"]["trained"] > 0

    second = run(pytester, how)
    second.stdout.fnmatch_lines(["*nothing to train for the first look*"])
    assert evidence(pytester)["lab/hidden-layer"]["observations"] == entry["observations"]

    # Other code, same behaviour: trained and measured again, with the same result.
    nets = pytester.path / "nets.py"
    nets.write_text(nets.read_text().replace("* 2 - 1", "* 2 - 1.0"))
    third = run(pytester, how, INLINE, "-k", "test_hidden_layer")
    third.stdout.fnmatch_lines(["*16 runs to train for the first look, time unknown*"])
    assert len(trained(pytester)) == 2 * 2 * 12
    assert evidence(pytester)["lab/hidden-layer"]["observations"] == entry["observations"]


def test_retrain_trains_again_and_fresh_only_measures_again(pytester: pytest.Pytester) -> None:
    write_suite(pytester, steps=2)
    run(pytester, INLINE, "--seeds=8")

    fresh = run(pytester, INLINE, "--seeds=8", "--fresh")
    fresh.stdout.fnmatch_lines(["*nothing to train*", "*16 measurements, 0 of them from the store*"])
    retrained = run(pytester, INLINE, "--seeds=8", "--retrain")
    retrained.stdout.fnmatch_lines(["*16 runs to train*", "*16 measurements, 0 of them from the store*"])


@pytest.mark.parametrize("how", ["-n0", "-n1"])
def test_a_damaged_run_is_trained_again_with_a_warning(pytester: pytest.Pytester, how: str) -> None:
    write_suite(pytester, steps=2)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    run(pytester, INLINE, "--seeds=8")
    before = evidence(pytester)["lab/hidden-layer"]["observations"]
    victim = next((pytester.path / ".memkit" / "runs").rglob("10003/weights.safetensors"))
    content = bytearray(victim.read_bytes())
    content[-3] ^= 1
    victim.write_bytes(bytes(content))

    result = run(pytester, how, INLINE, "--seeds=8", "--fresh")

    result.stdout.fnmatch_lines(["*MemkitWarning: the stored run *10003 is damaged: *; it is trained again"])
    assert not evidence(pytester)["lab/hidden-layer"]["failures"]
    assert evidence(pytester)["lab/hidden-layer"]["observations"] == before


def verify_again(entry: Path, **contents: bytes) -> None:
    """Replace files of an entry, with checksums that match."""
    manifest = json.loads((entry / "manifest.json").read_text())
    for name, content in contents.items():
        file = {"run": "run.json", "weights": "weights.safetensors"}[name]
        (entry / file).write_bytes(content)
        manifest["sha256"][file] = sha256(content).hexdigest()
    (entry / "manifest.json").write_text(json.dumps(manifest))


def foreign_weights(entry: Path) -> None:
    import torch
    from safetensors.torch import save

    verify_again(entry, weights=save({"another": torch.zeros(3)}))


def no_metrics(entry: Path) -> None:
    run = json.loads((entry / "run.json").read_text())
    verify_again(entry, run=json.dumps({**run, "metrics": {}}).encode())


def a_folder_for_a_file(entry: Path) -> None:
    (entry / "weights.safetensors").unlink()
    (entry / "weights.safetensors" / "within").mkdir(parents=True)


def a_file_for_a_folder(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("no folder")


@pytest.mark.parametrize("asks", ["arms", "trained"])
@pytest.mark.parametrize("damage", [foreign_weights, no_metrics, a_folder_for_a_file, a_file_for_a_folder])
def test_a_malformed_entry_is_trained_again_and_changes_no_verdict(
    pytester: pytest.Pytester, damage: Callable[[Path], None], asks: str
) -> None:
    claims = CLAIMS.replace("STEPS", "2")
    if asks == "trained":
        claims = claims.replace("(arms):", "(trained):").replace("score(arms)", "{k: 0.5 for k in trained}")
    pytester.makepyfile(nets=NETS, test_nets=claims)
    register_suite(pytester, claims)
    run(pytester, INLINE, "--seeds=8")
    before = evidence(pytester)["lab/hidden-layer"]
    damage(next((pytester.path / ".memkit" / "runs").rglob("10003")))

    result = run(pytester, INLINE, "--seeds=8", "--fresh")

    result.stdout.fnmatch_lines(["*MemkitWarning: the stored run *10003 is damaged: *; it is trained again"])
    after = evidence(pytester)["lab/hidden-layer"]
    assert not after["failures"]
    assert after["observations"] == before["observations"]
    again = run(pytester, INLINE, "--seeds=8", "--fresh")
    again.stdout.no_fnmatch_line("*is damaged*")


def test_a_malformed_stored_measurement_is_made_again(pytester: pytest.Pytester) -> None:
    write_suite(pytester, steps=2)
    run(pytester, INLINE, "--seeds=8")
    before = evidence(pytester)["lab/hidden-layer"]["observations"]
    store = Store(pytester.path / ".memkit")
    for file in (store.root / "measurements").rglob("*.jsonl"):
        content = load_measurement(store, file.stem, 10_003)
        content["arms"]["hidden"]["curve"] = "a learning curve"
        revoke_measurement(store, file.stem, 10_003)
        save_measurement(store, file.stem, 10_003, content)

    result = run(pytester, INLINE, "--seeds=8")

    result.stdout.fnmatch_lines(
        ["*the stored measurement of seed 10003 of the claim 'lab/hidden-layer' is damaged: a learning curve * 'a *"]
    )
    assert evidence(pytester)["lab/hidden-layer"]["observations"] == before


@pytest.mark.parametrize("how", [("-n0", INLINE), ("-n1",)])
def test_a_file_that_training_reads_is_part_of_the_run(pytester: pytest.Pytester, how: tuple[str, ...]) -> None:
    write_suite(pytester, steps=2)
    nets = NETS.replace(
        "    x = torch.rand", "    scale = float((HERE / 'scale.txt').read_text())\n    x = scale * torch.rand"
    )
    (pytester.path / "nets.py").write_text("import pathlib\nHERE = pathlib.Path(__file__).parent\n" + nets)
    (pytester.path / "scale.txt").write_text("1.0")
    chosen = ("--seeds=8", "--memkit-gate=none", "-k", "test_hidden_layer")
    command(pytester, "register")
    run(pytester, *how, *chosen)
    manifests = sorted((pytester.path / ".memkit" / "runs").rglob("manifest.json"))
    before = json.loads(manifests[0].read_text())
    assert before["depends"]["scale.txt"].startswith("sha256:")
    assert before["versions"].keys() >= {"python", "torch"}
    assert len(manifests) == 16
    run(pytester, *how, *chosen).stdout.fnmatch_lines(["8 measurements, 8 of them from the store*"])

    (pytester.path / "scale.txt").write_text("1.5")
    again = run(pytester, *how, *chosen)
    again.stdout.fnmatch_lines(["*16 runs to train for the first look*", "*since scale.txt has changed*"])
    assert json.loads(manifests[0].read_text())["depends"] != before["depends"]
    assert len(trained(pytester)) == 16, "in the place of those that are of no use"


def test_a_stopped_run_does_not_wait_for_training(pytester: pytest.Pytester) -> None:
    write_suite(pytester, steps=10**7)
    pytester.makepyfile(test_plain="def test_plain():\n    assert False\n")

    result = run(pytester, "-n2", "-x", "-rs")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["SKIPPED*lab/hidden-layer: INCOMPLETE: not run: seeds 10000–10007"])
    assert not trained(pytester)


def test_divergence_of_the_control_decides_nothing(pytester: pytest.Pytester) -> None:
    write_suite(pytester)
    pytester.makepyfile(
        test_nets=CLAIMS.replace("STEPS", "20").replace(
            '"linear": XOR.with_(hidden=False)', '"linear": XOR.with_(hidden=False, optimizer="sgd", lr=1e30)'
        )
    )
    register_claims(pytester)

    run(pytester, INLINE, "--seeds=8", "-k", "test_hidden_layer")

    entry = evidence(pytester)["lab/hidden-layer"]
    rows = [row for row in entry["observations"] if row[1] == "linear"]
    assert len(rows) == 8
    assert all(value is None and "step" in reason for _, _, _, value, reason in rows)
    assert entry["arms"]["linear"]["diverged"] == 8
    assert entry["judgement"]["verdict"] == "INCONCLUSIVE"
    interval = entry["judgement"]["findings"][0]["interval"]
    assert interval["low"] < 0 < interval["high"]


def test_reproduce_trains_one_seed_again(pytester: pytest.Pytester) -> None:
    write_suite(pytester, steps=20)
    run(pytester, INLINE, "--seeds=8")
    reproduce = ("reproduce", "lab/hidden-layer", "--seed")

    result = command(pytester, *reproduce, "10002")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*hidden*accuracy*difference 0", "reproduced: every value is the same, bit for bit; *"]
    )

    file = pytester.path / "reports" / "evidence.json"
    doctored = json.loads(file.read_text())
    for row in doctored["claims"][0]["observations"]:
        row[3] = 0.1234
    file.write_text(json.dumps(doctored))
    result = command(pytester, *reproduce, "10002")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["NOT reproduced: *"])

    missing = command(pytester, *reproduce, "99")
    assert missing.ret == 4
    missing.stderr.fnmatch_lines(["memkit: * has no observation of lab/hidden-layer for seed 99; it has 10000–10007"])
    unknown = command(pytester, *reproduce[:-2], "lab/hidden-layr", "--seed", "10002")
    assert unknown.ret == 4
    unknown.stderr.fnmatch_lines(["memkit: * has no claim 'lab/hidden-layr'; did you mean 'lab/hidden-layer'?"])
