"""Options: long and short names, conflicts with other plugins, values that are not paths, ``[tool.memkit]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memkit.pytest_plugin.arguments import join_values
from memkit.pytest_plugin.options import OPTIONS, WITH_SHORT_NAMES
from memkit.pytest_plugin.settings import Settings, settings_of
from tests.inner import command, run
from tests.pytest_plugin.lab import canned, evidence, write_suite

VALUES = {
    "laboratory": "oslo",
    "seeds": "8",
    "store": "elsewhere",
    "data": "elsewhere",
    "evidence": "elsewhere/found.json",
    "device": "cpu",
    "executor": "local",
    "ray-address": "elsewhere",
    "gate": "none",
}
"""A value for each option that takes one."""
CROWDED = "\n".join(
    [
        "def pytest_addoption(parser):",
        *(f"    parser.addoption('{option.short}', default='theirs')" for option in WITH_SHORT_NAMES),
    ]
)
OWN_TESTS = """
    import pytest

    @pytest.mark.parametrize("name", [{names}])
    def test_own(pytestconfig, name):
        assert pytestconfig.getoption(name) == "theirs"
"""


class StartRecorder:
    """A plugin that records the configuration and the conftests that pytest loaded before it collected."""

    config: pytest.Config
    conftests: set[str]

    def pytest_configure(self, config: pytest.Config) -> None:
        self.config = config
        files = (getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins())
        self.conftests = {Path(file).parent.name for file in files if file and Path(file).name == "conftest.py"}


def start_without_collecting(pytester: pytest.Pytester, *arguments: str) -> StartRecorder:
    """Start pytest, stop it before it collects, and return the record."""
    recorder = StartRecorder()
    run(pytester, *arguments, "--markers", plugins=[recorder])
    return recorder


def settings(pytester: pytest.Pytester, *arguments: str) -> Settings:
    return settings_of(start_without_collecting(pytester, *arguments).config)


def test_these_tests_have_a_value_for_every_option_that_takes_one() -> None:
    assert set(VALUES) == {option.name for option in OPTIONS if option.takes_value}


@pytest.mark.parametrize("option", WITH_SHORT_NAMES, ids=lambda option: option.name)
def test_a_short_name_has_the_same_effect_as_the_long_one(pytester: pytest.Pytester, option: Any) -> None:
    pytester.mkdir("elsewhere")
    value = (VALUES[option.name],) if option.takes_value else ()
    read = []
    for name in (option.long, option.short):
        config = start_without_collecting(pytester, name, *value).config
        read.append(getattr(config.option, option.target))
        assert read[-1] is not None
    assert read[0] == read[1]


# --- in a project whose conftest wants the same names -------------------------------------------------------------


@pytest.fixture
def crowded(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with an option of each short name, tests that read them, and two claims."""
    pytester.makeconftest(CROWDED)
    write_suite(pytester, canned("true"), canned("false", "0.1", "0.9", options='expect="refuted",'))
    names = ", ".join(repr(option.short) for option in WITH_SHORT_NAMES)
    pytester.makepyfile(test_own=OWN_TESTS.format(names=names))
    return pytester


@pytest.mark.parametrize("how", ["-n0", "-n2"])
def test_a_crowded_project_runs_its_tests_and_its_claims(crowded: pytest.Pytester, how: str) -> None:
    result = run(crowded, how, "--memkit-evidence", "found.json", "--memkit-store=store")
    assert result.ret == 0
    result.assert_outcomes(passed=len(WITH_SHORT_NAMES) + 2 * 9, skipped=2 * 24)
    assert (crowded.path / "found.json").is_file()
    assert (crowded.path / "store").is_dir()


def test_memkits_own_commands_use_long_names(crowded: pytest.Pytester) -> None:
    assert command(crowded, "register", "--check").ret == 0
    assert command(crowded, "plan").ret == 0
    assert run(crowded, "test_lab.py").ret == 0
    assert command(crowded, "reproduce", "lab/true", "--seed=10003").ret == 0


def test_a_run_with_claims_warns_of_an_option_that_another_plugin_received(crowded: pytest.Pytester) -> None:
    own = crowded.path / "test_own.py"
    own.write_text(own.read_text().replace('== "theirs"', "in ('theirs', 'none')"))
    assert run(crowded, "--gate=none", "test_own.py").ret == 0
    for given in (("--gate=none",), ("--gate", "none")):
        result = run(crowded, *given)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [
                "ERROR: --gate belongs to another plugin or to a conftest, so memkit does not receive it; write "
                "--memkit-gate for the claims, or gate = ... in [[]tool.memkit[]]"
            ]
        )
    (crowded.path / "options.txt").write_text("--gate\nnone\n")
    assert run(crowded, "@options.txt").ret == pytest.ExitCode.USAGE_ERROR
    assert run(crowded, "--gate=none", "--memkit-gate=verdict").ret == 0


def test_a_path_after_a_flag_of_a_conftest_stays_a_path(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--store', action='store_true')\n")
    for folder in ("sub", "other"):
        pytester.mkdir(folder)
        (pytester.path / folder / "conftest.py").touch()
        (pytester.path / folder / "test_it.py").write_text(
            "def test_it(pytestconfig): assert pytestconfig.option.store\n"
        )
    seen = start_without_collecting(pytester, "--store", "sub")
    assert seen.config.args == ["sub"]
    assert seen.conftests == {pytester.path.name, "sub"}
    run(pytester, "--store", "sub").assert_outcomes(passed=1)


def test_a_conftest_that_is_loaded_later_may_add_an_option_with_a_short_name(pytester: pytest.Pytester) -> None:
    (pytester.mkdir("one") / "conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--device', default='theirs')\n"
    )
    (pytester.path / "one" / "test_it.py").write_text("def test_it(): pass\n")
    run(pytester).assert_outcomes(passed=1)


# --- values that look like paths ----------------------------------------------------------------------------------


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with an ini file, beside another project with an ini file, in which the value of an option is."""
    pytester.makeini("[pytest]\naddopts = -p no:doctest\npythonpath = src\ntestpaths = tests\n")
    for folder in ("src", "tests"):
        pytester.mkdir(folder)
    (pytester.path / "tests" / "conftest.py").touch()
    (pytester.path / "tests" / "test_it.py").write_text("def test_it(): import helper\n")
    (pytester.path / "src" / "helper.py").touch()
    other = pytester.path.parent / f"{pytester.path.name}-other"
    for name in VALUES.values():
        folder = other / name if "." not in name else (other / name).parent
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "conftest.py").touch()
        (other / name).touch()
    (other / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\npythonpath = lib\nmarkers = theirs\n")
    return pytester


@pytest.mark.parametrize("form", ["{name} {value}", "{name}={value}"])
@pytest.mark.parametrize("prefix", ["", "memkit-"])
@pytest.mark.parametrize("name", ["store", "data", "evidence", "ray-address"])
def test_the_value_of_an_option_does_not_determine_the_project(
    project: pytest.Pytester, name: str, prefix: str, form: str
) -> None:
    other = Path(f"{project.path}-other", VALUES[name])
    arguments = form.format(name=f"--{prefix}{name}", value=other).split()

    seen = start_without_collecting(project, *arguments)

    assert seen.config.rootpath == project.path
    assert seen.config.inipath == project.path / "tox.ini"
    assert seen.config.getini("testpaths") == ["tests"]
    assert seen.config.args == ["tests"]
    assert seen.conftests == {"tests"}
    assert not seen.config.pluginmanager.hasplugin("doctest")
    assert seen.config.getoption("strict_markers") is not True
    assert getattr(seen.config.option, f"memkit_{name.replace('-', '_')}") == str(other)
    run(project, *arguments).assert_outcomes(passed=1)


def test_paths_on_the_command_line_still_determine_the_project(project: pytest.Pytester) -> None:
    other = Path(f"{project.path}-other")
    seen = start_without_collecting(project, "--store", str(other / "elsewhere"), str(other / "8"))
    assert seen.config.rootpath == other
    assert seen.conftests == {"8"}


def test_only_values_of_memkits_options_are_joined() -> None:
    ours = {option.long: option for option in OPTIONS}
    given = [
        "-k",
        "x",
        "--memkit-store",
        "a",
        "--memkit-fresh",
        "b",
        "--memkit-data",
        "-q",
        "--",
        "--memkit-store",
        "c",
    ]
    assert join_values(given, ours) == [
        *("-k", "x", "--memkit-store=a", "--memkit-fresh", "b", "--memkit-data", "-q"),
        *("--", "--memkit-store", "c"),
    ]


# --- [tool.memkit] ------------------------------------------------------------------------------------------------


def test_a_project_sets_options_in_its_pyproject(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.mkdir("there")
    (pytester.path / "there" / "data").mkdir()
    pytester.makepyprojecttoml(
        """
        [tool.memkit]
        store = "there/store"
        data = "there/data"
        evidence = "there/found.json"
        seeds = 16
        gate = "none"
        """
    )
    always = settings(pytester)
    assert (always.store, always.data) == (str(pytester.path / "there/store"), str(pytester.path / "there/data"))
    assert (always.evidence, always.seeds, always.gate) == (str(pytester.path / "there/found.json"), 16, "none")

    (pytester.path / "sub").mkdir()
    monkeypatch.chdir(pytester.path / "sub")
    assert settings(pytester).store == always.store, "relative to the project, wherever pytest is started"
    monkeypatch.setenv("MEMKIT_STORE", "mine")
    assert settings(pytester).store == str(pytester.path / "sub" / "mine"), "the environment comes before the project"
    assert settings(pytester, "--store=asked").store == str(pytester.path / "sub" / "asked")
    monkeypatch.setenv("MEMKIT_DATA", "mine")
    assert settings(pytester).data == "", "which leaves it to the environment"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('stroe = "x"', "unknown option 'stroe'; did you mean 'store'?"),
        ("fresh = 1", "fresh = 1 must be true or false"),
        ('sweeps = "some"', "sweeps = 'some' must be one of 'none', 'only', 'all'"),
        ("store = 3", "store = 3 must be a string"),
        ('seeds = "8"', "seeds = '8' must be a number"),
        ("seeds = 0", "seeds = 0 must be from 1 to 100"),
        ('gate = "drfit"', "gate = 'drfit' must be one of 'verdict', 'drift', 'none'"),
    ],
)
def test_invalid_project_settings_are_refused(pytester: pytest.Pytester, line: str, sentence: str) -> None:
    pytester.makepyprojecttoml(f"[tool.memkit]\n{line}\n")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *pyproject.toml, [[]tool.memkit[]]: {sentence}"])


def test_a_project_setting_reaches_the_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.memkit]\nseeds = 16\nevidence = "found.json"\n')
    write_suite(pytester, canned("never", "seed % 2", "(seed + 1) % 2", options='expect="not_supported",'))
    assert run(pytester, "-n2").ret == 0
    (pytester.path / "found.json").rename(pytester.mkdir("reports") / "evidence.json")
    assert len(evidence(pytester)["lab/never"]["planned"]) == 16


# --- what an attack found -----------------------------------------------------------------------------------------


def test_an_ini_file_beside_the_value_of_an_option_does_not_open_the_gate(pytester: pytest.Pytester) -> None:
    """pytest's own options also have separate values, which are joined to their names."""
    other = pytester.path.parent / f"{pytester.path.name}-other"
    (other / "store").mkdir(parents=True)
    (other / "pytest.ini").write_text("[pytest]\naddopts = --memkit-gate none -vv\n")
    pytester.makeini("[pytest]\naddopts = --memkit-seeds 8\n")
    write_suite(pytester, canned("false", "0.1", "0.9"))
    seen = start_without_collecting(pytester, "--memkit-store", str(other / "store"))
    assert seen.config.option.verbose == 0
    assert settings_of(seen.config).seeds == 8
    assert run(pytester, "--memkit-store", str(other / "store")).ret == pytest.ExitCode.TESTS_FAILED


def test_arguments_from_a_file_are_read_like_all_others(project: pytest.Pytester) -> None:
    other = Path(f"{project.path}-other", "elsewhere")
    (project.path / "options.txt").write_text(f"--store\n{other}\n")
    seen = start_without_collecting(project, "@options.txt")
    assert seen.config.rootpath == project.path
    assert seen.config.option.memkit_store == str(other)


@pytest.mark.parametrize("what", ["--memkit-store", "--memkit-data", "--memkit-evidence"])
@pytest.mark.parametrize(
    ("value", "sentence"), [("", "* is empty; give a path"), ("~no-such-user/x", "*~no-such-user/x cannot be found*")]
)
def test_values_that_are_not_paths_are_refused(pytester: pytest.Pytester, what: str, value: str, sentence: str) -> None:
    write_suite(pytester, canned("true"), register=False)
    result = run(pytester, f"{what}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {what}{sentence}"])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("found.csv", "*found.csv would be overwritten by its own .csv file; choose a name that ends in .json"),
        ("found.html", "*found.html would be overwritten by its own .html file; choose a name that ends in .json"),
        ("folder", "*folder is a folder; name a file in it, such as evidence.json"),
    ],
)
def test_files_that_cannot_be_the_evidence_are_refused(pytester: pytest.Pytester, value: str, sentence: str) -> None:
    pytester.mkdir("folder")
    write_suite(pytester, canned("true"), register=False)
    result = run(pytester, "--memkit-evidence", value)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Error" not in result.stdout.str()
    result.stderr.fnmatch_lines([f"ERROR: --memkit-evidence {sentence}"])


def test_an_environment_variable_that_is_not_a_path_is_refused_if_claims_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMKIT_STORE", "~no-such-user/x")
    write_suite(pytester, canned("true"), register=False)
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: MEMKIT_STORE: ~no-such-user/x cannot be found *"])


def test_a_plugin_of_a_conftest_may_add_an_option_with_a_short_name_late(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        class Late:
            def pytest_addoption(self, parser):
                parser.addoption("--store", default="theirs")

        def pytest_configure(config):
            config.pluginmanager.register(Late())
        """
    )
    pytester.makepyfile("def test_it():\n    pass\n")
    run(pytester).assert_outcomes(passed=1)


def test_a_flag_of_another_plugin_is_refused_until_the_project_sets_the_option(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addoption('--fresh', action='store_true')\n")
    write_suite(pytester, canned("true"))
    refused = run(pytester, "--fresh")
    refused.stderr.fnmatch_lines(
        ["ERROR: --fresh belongs to * write --memkit-fresh for the claims, or fresh = false in *"]
    )
    pytester.makepyprojecttoml("[tool.memkit]\nfresh = false\n")
    assert run(pytester, "--fresh").ret == 0
