"""The pytest plugin: the thin adapter between pytest and the engine.

``settings``     options and where things lie
``collection``   ``@claim`` → one item a seed; the plan of a run
``measuring``    the fixtures ``seed``, ``arms``, ``trained``; running a claim's test, or taking its measurement from
                 the store
``aggregation``  on the controller: training before the items go out, observations → verdicts → reports
``terminal``     progress, the verdict table
``page``         columns and plots in pytest-html's page

It is loaded into every pytest run of an environment that memkit is installed in, so it imports neither torch nor
pandas by itself, and does nothing where there are no claims.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.claim import claim_of
from memkit.pytest_plugin import collection, measuring
from memkit.pytest_plugin.settings import SETTINGS, Settings

arms = measuring.arms
trained = measuring.trained
seed = measuring.seed


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("memkit", "memkit: claims, their seeds and their evidence")
    group.addoption(
        "--seeds",
        type=_seeds,
        default=None,
        metavar="N",
        help="at most so many seeds a claim: 8, 16 or 32; another number reports and decides nothing "
        "(default: what the claim declares, or 16)",
    )
    group.addoption("--headline", action="store_true", help="only the claims that are marked headline=True")
    group.addoption(
        "--development",
        action="store_true",
        help="use development seeds; they decide nothing, look as often as you like",
    )
    group.addoption("--fresh", action="store_true", help="measure again, on the stored models")
    group.addoption("--retrain", action="store_true", help="train again, and measure again")
    group.addoption(
        "--store",
        metavar="DIR",
        default=os.environ.get("MEMKIT_STORE") or None,
        help="where trained runs are kept (default: MEMKIT_STORE, else .memkit in the root directory)",
    )
    group.addoption(
        "--evidence",
        metavar="FILE",
        default=None,
        help="the evidence file (default: reports/evidence.json); its .csv and .html are written beside it",
    )
    group.addoption(
        "--device",
        choices=("cpu", "cuda", "mps"),
        default="cpu",
        help="where models are trained and measured (default: cpu)",
    )
    group.addoption(
        "--gate",
        choices=("verdict", "none"),
        default="verdict",
        help="what fails the run: a verdict that is not the registered one (default), or no verdict",
    )


def _seeds(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seeds; give 8, 16 or 32")
    return number


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default::memkit.errors.MemkitWarning")
    settings = Settings.of(config)
    config.stash[SETTINGS] = settings
    if not hasattr(config, "workerinput"):
        from memkit.pytest_plugin.aggregation import Aggregator

        config.pluginmanager.register(Aggregator(config, settings), "memkit-aggregator")
        if config.pluginmanager.hasplugin("html"):
            from memkit.pytest_plugin.page import Page

            config.pluginmanager.register(Page(), "memkit-page")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    collection.parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A mistake in a claim or a recipe stops the run with its sentence alone, not with a traceback."""
    report = yield
    call: Any = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if isinstance(error, MemkitError):
        settings = collector.config.stash[SETTINGS]
        settings.refuse(f"{collector.nodeid}: {error}")
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    with config.stash[SETTINGS].refusing():
        collection.arrange(config, items)


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller that this worker has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    with session.config.stash[SETTINGS].refusing():
        collection.hand_over_plan(session)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    """A claim that pytest would not collect must not vanish without a word."""
    claim = claim_of(obj)
    if claim is not None and not collector.funcnamefilter(name):
        raise MemkitError(f"claim {claim.id!r}: pytest collects no function called {name}(); call it test_{name}()")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    measuring.keep(item)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return measuring.call(pyfuncitem)
