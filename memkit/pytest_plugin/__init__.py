"""The pytest plugin: the thin adapter between pytest and the engine.

``settings``     options and where things lie
``seeds``        a claim's seeds, by its registration
``collection``   ``@claim`` → one item a seed, in the order of the looks
``plan``         what a run may do, in plain types
``dealing``      xdist: items go out one by one, in that order
``board``        what the controller tells the items that wait for their turn
``measuring``    the fixtures ``seed``, ``arms``, ``trained``, ``cell``, ``scores``; waiting; running a claim's test, or
                 taking its measurement from the store
``training``     the thread that trains, on the controller
``claim_run``    a claim while it runs: which seeds come next
``aggregation``  on the controller: opens looks, observations → verdicts → reports
``terminal``     progress, the verdict table
``page``         columns and plots in pytest-html's page

It is loaded into every pytest run of an environment that memkit is installed in, so it imports neither torch nor
pandas by itself, and does nothing where there are no claims.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.evidence.claim import claim_of
from memkit.evidence.derived import marked_as_its_source
from memkit.evidence.sweep import is_sweep
from memkit.pytest_plugin import collection, measuring
from memkit.pytest_plugin.board import Board
from memkit.pytest_plugin.settings import SETTINGS, Settings

arms = measuring.arms
cell = measuring.cell
trained = measuring.trained
scores = measuring.scores
seed = measuring.seed


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("memkit", "memkit: claims, their seeds and their evidence")
    group.addoption(
        "--seeds",
        type=_seeds,
        default=None,
        metavar="N",
        help="at most so many seeds a claim: 8, 16 or 32; another number reports and decides nothing "
        "(default: what the claim declares, or 32; a run stops at the verdict)",
    )
    group.addoption("--headline", action="store_true", help="only the claims that are marked headline=True")
    group.addoption(
        "--sweeps",
        dest="sweeps",
        action="store_const",
        const="only",
        default="none",
        help="only the cells of sweeps and the replications, which are left out otherwise",
    )
    group.addoption(
        "--with-sweeps",
        dest="sweeps",
        action="store_const",
        const="all",
        help="all claims, the cells of sweeps, the replications",
    )
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
        help="where trained runs are kept: a folder, or a URL that machines share, s3://bucket/folder (default: "
        "MEMKIT_STORE, else .memkit in the root directory)",
    )
    group.addoption(
        "--data",
        metavar="DIR",
        default=None,
        help="the folder that data sets are read from (default: MEMKIT_DATA); claims whose data are missing there are "
        "skipped",
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
        "--executor",
        choices=("local", "ray"),
        default="local",
        help="what trains: processes of this machine (default), or a Ray cluster, into a store that its nodes share",
    )
    group.addoption(
        "--ray-address",
        metavar="ADDRESS",
        default="auto",
        help="of the Ray cluster: HOST:PORT, or auto (default), the one that this machine belongs to",
    )
    group.addoption(
        "--gate",
        choices=("verdict", "drift", "none"),
        default="verdict",
        help="what fails the run: a verdict that is not the registered one (default); that, and what changed since the "
        "accepted run; or no verdict",
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
    settings.publish_data(config)
    config.stash[measuring.BOARD] = Board(Path(settings.exchange) / "board.jsonl" if settings.exchange else None)
    config.pluginmanager.register(_Reporting(), "memkit-reporting")
    if not hasattr(config, "workerinput"):
        from memkit.pytest_plugin.aggregation import Aggregator

        aggregator = Aggregator(config, settings)
        config.pluginmanager.register(aggregator, "memkit-aggregator")
        if config.pluginmanager.hasplugin("html") and config.getoption("htmlpath", None):
            from memkit.pytest_plugin.page import Page

            config.pluginmanager.register(Page(aggregator), "memkit-page")


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
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Item] | None:
    """A claim that pytest would not collect must not vanish without a word; a sweep's cells stand for the sweep."""
    if is_sweep(obj):
        return []
    marked_as_its_source(obj)
    claim = claim_of(obj)
    if claim is not None and getattr(obj, "__name__", name) != name:
        raise MemkitError(
            f"claim {claim.id!r}: a decorator below it hides {name}() behind {getattr(obj, '__name__', '')}(); make it "
            "with functools.wraps"
        )
    if claim is not None and not collector.funcnamefilter(name):
        raise MemkitError(f"claim {claim.id!r}: pytest collects no function called {name}(); call it test_{name}()")
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    pair = collection.claim_and_seed(item)
    if pair is not None and not item.config.option.setupplan:
        aggregator: Any = item.config.pluginmanager.get_plugin("memkit-aggregator")
        claim, seed = pair
        measuring.await_turn(item, claim, seed, meanwhile=aggregator.meanwhile if aggregator else lambda: None)
    return (yield)


class _Reporting:
    """A plugin of its own, for a module has only one hook of a name."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        if measuring.REPORT not in item.stash:
            return None
        measuring.report_only(item, nextitem)
        return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    result = yield
    measuring.keep(item)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    return measuring.call(pyfuncitem)
