"""The effect of an installed memkit on projects without claims, and on other plugins."""

from __future__ import annotations

import json

import pytest

from tests.inner import run
from tests.pytest_plugin.lab import canned, write_suite

LOADED = """
    import json, os, pathlib, sys

    def pytest_sessionfinish(session):
        who = getattr(session.config, "workerinput", {}).get("workerid", "controller")
        names = [name for name in sys.modules if name.split(".")[0] in HEAVY or name.startswith("memkit")]
        pathlib.Path(f"loaded-{who}.json").write_text(json.dumps(sorted(names)))

    HEAVY = (
        "filelock", "jinja2", "mlx", "numpy", "pandas", "pytest_html", "ruamel", "safetensors", "scipy", "torch"
    )
"""
NO_PAGE = ("-p", "no:html", "-p", "no:html_fixtures")
"""Options that prevent pytest from loading pytest-html, which it otherwise does if the package is installed."""
LIGHT = {
    "memkit",
    "memkit.errors",
    "memkit.on_demand",
    "memkit.paths",
    "memkit.pytest_plugin",
    "memkit.pytest_plugin.arguments",
    "memkit.pytest_plugin.controller",
    "memkit.pytest_plugin.options",
    "memkit.pytest_plugin.settings",
    "memkit.pytest_plugin.file_watcher",
}


@pytest.mark.parametrize(("how", "processes"), [("-n0", ["controller"]), ("-n1", ["controller", "gw0"])])
def test_a_project_without_claims_loads_nothing_of_the_engine(
    pytester: pytest.Pytester, how: str, processes: list[str]
) -> None:
    pytester.makeconftest(LOADED)
    pytester.makepyfile("def test_plain():\n    pass\n")
    pytester.runpytest_subprocess(how, "-p", "no:hypothesispytest", *NO_PAGE).assert_outcomes(passed=1)
    loaded = {path.stem.removeprefix("loaded-"): json.loads(path.read_text()) for path in pytester.path.glob("*.json")}
    assert sorted(loaded) == processes
    for who, names in loaded.items():
        with_workers = {"memkit.pytest_plugin.exchange_folder", "memkit.pytest_plugin.look_scheduler"}
        extra = with_workers if who == "controller" and how != "-n0" else set()
        assert set(names) == LIGHT | extra


@pytest.mark.parametrize("given", [NO_PAGE, (), ("--html=page.html",)], ids=["without pytest-html", "plain", "page"])
def test_the_modules_for_an_html_page_are_loaded_only_for_one(
    pytester: pytest.Pytester, given: tuple[str, ...]
) -> None:
    pytester.makeconftest(LOADED)
    write_suite(pytester, canned("true"))
    pytester.runpytest_subprocess("-n0", *given).assert_outcomes(passed=8 + 1, skipped=24)
    loaded = set(json.loads((pytester.path / "loaded-controller.json").read_text()))
    assert "memkit.pytest_plugin.aggregator" in loaded
    assert ("memkit.pytest_plugin.html_page" in loaded) == ("--html=page.html" in given)
    assert ("pytest_html" in loaded) == (given != NO_PAGE)
    assert not loaded & {"pandas", "torch"}


@pytest.mark.parametrize("how", ["-n0", "-n2"])
def test_a_project_without_claims_sees_nothing_of_the_plugin(pytester: pytest.Pytester, how: str) -> None:
    pytester.makepyfile("def test_plain():\n    pass\n")
    result = run(pytester, how, "--html=page.html")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    assert "memkit: " not in result.stdout.str()
    assert not (pytester.path / "reports").exists()
    assert not (pytester.path / ".memkit").exists()
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    assert '<h1 id="title">page.html</h1>' in page
    assert "Verdict" not in page


def test_a_project_may_have_fixtures_with_the_same_names(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def seed():
            return 3

        @pytest.fixture
        def arms(seed):
            return [seed]

        def test_it(arms):
            assert arms == [3]

        @pytest.mark.parametrize("seed", [5])
        def test_other(seed, arms):
            assert arms == [5]
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_objects_that_have_every_attribute_are_ignored(pytester: pytest.Pytester) -> None:
    """For example proxies of a web request, which raise an error outside a request; the module also has claims."""
    pytester.makepyfile(
        test_proxies="""
        class Raises:
            def __getattr__(self, name):
                raise RuntimeError("outside of a request")

        class Answers:
            def __getattr__(self, name):
                return self

        request, anything = Raises(), Answers()

        def test_it():
            pass
        """
    )
    write_suite(pytester, canned("true"), register=False)
    result = run(pytester, "test_lab.py", "test_proxies.py")
    assert result.ret == 0
    result.assert_outcomes(passed=8 + 1, skipped=24 + 1)


def test_fixtures_of_other_plugins_with_the_same_names_are_kept(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(theirs="import pytest\n\n@pytest.fixture\ndef seed():\n    return 3\n")
    pytester.makepyfile(test_it="def test_it(seed):\n    assert seed == 3\n")
    run(pytester, "-p", "theirs").assert_outcomes(passed=1)


def test_a_project_without_claims_keeps_the_chosen_scheduler(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it():\n    pass\n")
    result = run(pytester, "-n1", "-v")
    result.stdout.fnmatch_lines(["scheduling tests via LoadScheduling"])


def test_items_collected_with_claims_are_frozen_for_the_garbage_collector(pytester: pytest.Pytester) -> None:
    write_suite(pytester, canned("true", body="import gc; assert gc.get_freeze_count()"))
    assert run(pytester, "-n0").ret == 0
