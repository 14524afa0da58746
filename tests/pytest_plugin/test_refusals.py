"""Bad input: one sentence that names the thing and the remedy, exit code 4, no traceback."""

from __future__ import annotations

import importlib.util

import pytest

from tests.inner import needs_torch, run
from tests.pytest_plugin.lab import HEAD, canned, write_suite

SUITES = {
    "an arm that does not exist": (
        canned("true").replace('over="control"', 'over="contrl"'),
        "*'lab/true': the contrast «treatment over contrl» names an unknown arm 'contrl'; did you mean 'control'?",
    ),
    "no contrast": (
        canned("true").replace('[Contrast("treatment", over="control", metric="score", bounds=(0, 1))]', "[]"),
        "*'lab/true': there is no contrast; give contrasts=*",
    ),
    "two claims with one id": (
        canned("true") + canned("other").replace('"lab/other"', '"lab/true"'),
        "*two claims have the id 'lab/true': test_lab.py::test_true and test_lab.py::test_other; rename one of them",
    ),
    "a misspelt option": (
        canned("true", options='expct="supported",'),
        "*'lab/true': unknown option 'expct'; did you mean 'expect'?",
    ),
    "a misspelt verdict": (
        canned("true", options='expect="suported",'),
        "*'lab/true': expect='suported' is not a verdict; did you mean 'supported'?",
    ),
    "a test without seeds": (
        canned("true").replace("(seed)", "()"),
        "*test_true() does not depend on the seed; add the fixture `arms` or `seed` to its parameters (they are none)",
    ),
    "a claim parametrised by hand": (
        canned("true")
        .replace("(seed)", "(seed, width)")
        .replace("    @claim", "    @pytest.mark.parametrize('width', [1, 2])\n    @claim", 1),
        "*'lab/true' is also parametrised by 'width'; write a claim for each value",
    ),
    "two claims on one test": (
        canned("outer").split("def test_")[0] + canned("true"),
        "*'lab/outer': *() already measures claim 'lab/true'; write another function",
    ),
    "a claim that pytest would not collect": (
        canned("true").replace("def test_true", "def measure_true"),
        "*'lab/true': pytest collects no function called measure_true(); call it test_measure_true()",
    ),
    "a unittest": (
        "\n    import unittest\n    class TestLab(unittest.TestCase):\n"
        "        @claim('lab/true', 's', arms=('a',), contrasts=[Contrast('a', over=0.5, metric='m', bounds=(0, 1))])\n"
        "        def test_true(self): ...\n",
        "*'lab/true': a unittest.TestCase cannot be parametrised; write a function",
    ),
    "a claim that is parametrised by seeds of its own": (
        canned("true").replace("    @claim", "    @pytest.mark.parametrize('seed', [1, 2])\n    @claim", 1),
        "*'lab/true' is parametrised by 'seed', which memkit does itself; remove that parametrize(), and limit*",
    ),
    "a module for an arm": (
        canned("true").replace('arms=("treatment", "control")', 'arms={"treatment": math, "control": None}'),
        "*'lab/true', arm 'treatment': the module math is not a recipe; write Recipe(task, model, ...), or give only*",
    ),
    "a class for an arm": (
        canned("true").replace('arms=("treatment", "control")', 'arms={"treatment": pathlib.Path, "control": None}'),
        "*'lab/true', arm 'treatment': the class Path is not a recipe; *",
    ),
    "a model for an arm": (
        canned("true").replace('arms=("treatment", "control")', 'arms={"treatment": None, "control": HERE}'),
        "*'lab/true', arm 'control': an object of the class PosixPath is not a recipe; *",
    ),
    "a bare claim": (
        "\n    @claim\n    def test_true(seed): ...\n",
        '*@claim stands above test_true() without arguments; write @claim("study/name", "The statement.", *',
    ),
    "a claim without arguments": (
        "\n    @claim()\n    def test_true(seed): ...\n",
        "*claim '': an id must read study/name, in lower-case letters, digits, '-', '_' and '.'",
    ),
    "an async claim": (
        canned("true").replace("def test_true", "async def test_true"),
        "*'lab/true': test_true() is async; write an ordinary function",
    ),
    "a bare sweep": (
        "\n    from memkit import sweep\n    @sweep\n    def test_true(seed): ...\n",
        "*@sweep stands above test_true() without arguments; write @sweep(*",
    ),
    "a bare mutant": (
        "\n    from memkit import mutant\n    @mutant\n    def test_true(seed): ...\n",
        "*@mutant stands above test_true() without arguments; write @mutant(*",
    ),
    "a bare multiverse": (
        "\n    from memkit import multiverse\n    @multiverse\n    def test_true(seed): ...\n",
        "*@multiverse stands above test_true() without arguments; write @multiverse(*",
    ),
    "a bare replication": (
        "\n    from memkit import replicated\n    @replicated\n    def test_true(seed): ...\n",
        '*@replicated stands above test_true() without arguments; write @replicated("mlx")',
    ),
    "a bare staged study": (
        "\n    from memkit import staged\n    @staged\n    def test_true(seed): ...\n",
        '*@staged stands above test_true() without arguments; write @staged("matrix.yaml")',
    ),
    "a fixture of the project in the place of memkit's": (
        "\n    @pytest.fixture\n    def arms(): return {}\n" + canned("true").replace("(seed)", "(seed, arms)"),
        "*'lab/true': test_true() would get `arms` from test_lab.arms() and not from memkit; rename that fixture, *",
    ),
    "a fixture `seed` of the project": (
        "\n    @pytest.fixture\n    def seed(): return 3\n" + canned("true"),
        "*'lab/true': test_true() would get `seed` from test_lab.seed() and not from memkit; rename that fixture, *",
    ),
    "a misspelt recipe field": (
        "\n    from memkit import Recipe\n    def net(*, width=3): ...\n    Recipe(ran, net).with_(stps=3)\n",
        "*Recipe has no field 'stps', and net takes no such option; did you mean 'steps'?",
    ),
}  # fmt: skip


def test_a_mistake_stops_the_run_of_a_node_id_too(pytester: pytest.Pytester) -> None:
    source, sentence = SUITES["an arm that does not exist"]
    pytester.makepyfile(test_lab=HEAD + source)
    result = run(pytester, "-n0", "test_lab.py::test_true")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_naming_a_claim_that_the_options_exclude_is_refused(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("small"), more=(canned("big", options="headline=True,"),), register=False)
    named = run(pytester, "--headline", "test_lab.py::test_small")
    assert named.ret == pytest.ExitCode.USAGE_ERROR
    named.stderr.fnmatch_lines(
        ["ERROR: *claim 'lab/small' is one of the claims that are not headlines; --memkit-headline excludes them"]
    )
    assert run(pytester, "--headline", "test_more.py::test_big", "test_lab.py").ret == 0
    nothing = run(pytester, "--headline", "test_lab.py")
    assert nothing.ret == pytest.ExitCode.USAGE_ERROR
    nothing.stderr.fnmatch_lines(
        ["ERROR: no claim is left to run: the options exclude 1, claims that are not headlines *"]
    )


WITH_WORKERS = "an arm that does not exist"  # one case is enough: workers refuse in the same way


@pytest.mark.parametrize(("case", "how"), [*((case, "-n0") for case in SUITES), (WITH_WORKERS, "-n2")])
def test_a_mistake_in_a_claim_stops_the_run(pytester: pytest.Pytester, case: str, how: str) -> None:
    source, sentence = SUITES[case]
    pytester.makepyfile(test_lab=HEAD + source)

    result = run(pytester, how)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("how", ["-n0", "-n2"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--store=taken"],
            "*the store *taken cannot be written to (*); choose another folder with --store or MEMKIT_STORE",
        ),
        (
            ["--evidence=taken/evidence.json"],
            "*the evidence cannot be written to *; choose another file with --evidence",
        ),
        (
            [r"--store=C:\memkit\store"],
            r"--memkit-store: C:\memkit\store is a Windows path; on this system, write a path such as ~/memkit",
        ),
        (
            [r"--evidence=\\server\share\evidence.json"],
            r"--memkit-evidence: \\server\share\evidence.json is a Windows path; on this system, *",
        ),
    ],
)
def test_places_that_cannot_be_written_are_refused(
    pytester: pytest.Pytester, arguments: list[str], sentence: str, how: str
) -> None:
    write_suite(pytester, canned("true"), register=False)
    (pytester.path / "taken").write_text("a file, not a folder")

    result = run(pytester, how, *arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("value", ["x", "0", "-3", "1.5"])
def test_seeds_must_be_a_number(pytester: pytest.Pytester, value: str) -> None:
    result = run(pytester, f"--seeds={value}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--seeds: '{value}' is not a whole number from 1 to 100, such as 32"])


@needs_torch
def test_training_needs_torch_and_a_device(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(
        test_lab="""
        from memkit import Contrast, Recipe, claim
        def net(*, width=3): ...
        def task(generator, size): ...
        @claim("lab/net", "s", arms={"net": Recipe(task, net)},
               contrasts=[Contrast("net", over=0.5, metric="accuracy", bounds=(0, 1))])
        def test_net(arms): ...
        """
    )
    device = run(pytester, "-n2", "--device=mps")
    assert device.ret == pytest.ExitCode.USAGE_ERROR
    device.stderr.fnmatch_lines(
        ["ERROR: --memkit-device mps is not available on this machine or in its build of torch; use cpu"]
    )

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))
    torch = run(pytester, "-n0")
    assert torch.ret == pytest.ExitCode.USAGE_ERROR
    torch.stderr.fnmatch_lines(
        ["ERROR: claim 'lab/net' trains models, which needs torch; install memkit with its extra*"]
    )


def test_a_damaged_lock_is_refused(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true"))
    (pytester.path / "claims.lock").write_text("{")

    result = run(pytester, "-n2")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *claims.lock is damaged*restore it from version control"])


RETURNS = {
    "lacks an arm": ('{"treatment": 1.0}', "*the test returned nothing for 'control'*"),
    "knows an arm too many": (
        '{"treatment": 1.0, "control": 0.0, "contrl": 0.0}',
        "*the test returned 'contrl', which is neither an arm nor a derived quantity; did you mean 'control'?",
    ),
    "is no dict": ("0.9", "*the test returned a float; it should return a dict with a number for each of*"),
    "is nothing": ("None", "*the test returned a NoneType; it should return a dict*"),
    "is no number": (
        '{"treatment": "0.9", "control": 0.0}',
        "*score of 'treatment' is '0.9', a str; it should be one number",
    ),
    "is out of bounds": (
        '{"treatment": 90.0, "control": 0.0}',
        "*score of 'treatment' is 90, outside the declared bounds (0, 1); declare the right bounds, or *clip=True*",
    ),
}


@pytest.mark.parametrize("case", RETURNS)
def test_an_invalid_return_value_is_refused(pytester: pytest.Pytester, case: str) -> None:
    returned, sentence = RETURNS[case]
    source = canned("true").replace('return {"treatment": 0.9, "control": 0.1}', f"return {returned}")
    write_suite(pytester, source)

    result = run(pytester, "-n0", "-ra", "--seeds=8")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"claim 'lab/true', seed 10000: {sentence}"])
    result.stdout.fnmatch_lines(["FAILED*lab/true: seed 10000 and 7 more failed: *"])
    assert "Traceback" not in result.stdout.str()
    assert "item_call.py" not in result.stdout.str()


NO_TENSORS = """
    import dataclasses
    import torch
    from memkit import Contrast, Recipe, claim

    @dataclasses.dataclass
    class Output:
        logits: torch.Tensor

    class Net(torch.nn.Module):
        def __init__(self, *, kind="tensor"):
            super().__init__()
            self.map, self.kind = torch.nn.Linear(2, 2), kind
        def forward(self, x):
            x = self.map(x)
            return {{"tensor": x, "object": Output(x), "dict": {{"logits": x}}, "pair": (x, x)}}[self.kind]

    def batches(generator, size):
        return torch.rand(size, 2, generator=generator), torch.zeros(size, dtype=torch.long)

    def dicts(generator, size):
        return {{"inputs": torch.rand(size, 2, generator=generator)}}

    @claim("lab/net", "s", arms={{"net": Recipe({task}, Net, options={{"kind": "{kind}"}}, steps=2)}},
           contrasts=[Contrast("net", over=0.5, metric="accuracy", bounds=(0, 1))])
    def test_net(arms): ...
"""


@needs_torch
@pytest.mark.parametrize(
    ("task", "kind", "sentence"),
    [
        ("batches", "object", "the model returned an Output, but the loss needs a tensor; *one such as its logits"),
        ("batches", "dict", "the model returned a dict, but the loss needs a tensor; *one such as its logits"),
        ("batches", "pair", "the model returned a tuple, but the loss needs a tensor; wrap the model in a module*"),
        ("dicts", "tensor", "the task drew a dict; a batch must be two tensors, (inputs, targets)"),
    ],
)
def test_models_and_tasks_that_return_no_tensor_are_refused(
    pytester: pytest.Pytester, task: str, kind: str, sentence: str
) -> None:
    pytester.makepyfile(test_lab=NO_TENSORS.format(task=task, kind=kind))

    result = run(pytester, "-n0", "--seeds=8", "--memkit-executor=inline")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{sentence}"])
