"""The pytest plugin: the thin adapter between pytest and the engine.

This file holds pytest's hooks that every process of every run needs. What follows is every other module of the folder,
by the phase of a run in which it works. The entry point registers this file with pytest as ``memkit``; a module marked
with a star holds an object that is registered by the name beside it, once there is use for it.

Start: all that a run without claims imports

``options``             the options of the command line, and ``[tool.memkit]``
``arguments``           short names, where nobody else has them; which arguments are paths
``settings``            the options, resolved, and where things lie
``file_watcher``      * ``memkit-file-watcher``: which files of the project claims' tests open, where it has a lock
``controller``        * ``memkit-controller``: receives the plan of the run, and has the aggregator carry it out

Start: with workers of xdist

``exchange_folder``     the folder in which the processes of a run leave files for one another
``look_scheduler``      hands out items to the workers one by one, in the order of the looks

Collection: imported with the first claim

``collection``          ``@claim`` → one item per seed, in the order of the looks; makes the plan of the run
``seeds``               a claim's seeds, by its registration
``absence``             registered claims that should have been found; also without claims, where there is a lock
``measurement_keys``    what a measurement depends on: its key in the store, and the files beside it
``other_plugins``       active plugins that may change what is measured, which the key covers
``compute_platform``    the versions and the hardware that the last bits of a number depend on
``plan``                the plan of a run, in plain types: from a worker to the controller

On a worker, or in the only process

``item_turn``           an item waits for its look and its models; its measurement may be in the store
``fixtures``          * ``memkit-fixtures``: ``seed``, ``arms``, ``trained``, ``cell``, ``scores``
``item_call``           runs a claim's test on a seed, and makes a measurement of what it returns
``measurement``         what a test showed on a seed, as it travels and as it is stored
``measurement_keeper``  * ``memkit-measurement-keeper``: stores a measurement, once the whole item has passed

On the controller

``aggregator``        * ``memkit-aggregator``: the course of the run, from pytest's hooks to the modules below
``looks``               opens the seeds of each claim look by look, and asks for the training they need
``training_thread``     trains beside the tests
``messages``            what the controller tells the items that wait for their turn
``reports_to_verdicts`` takes the reports of all items; judges each claim
``claim_run``           a claim while it runs: what came in, and which seeds come next
``tries``               what the last try of a seed has shown; a plugin may run a test again
``claim_evidence``      a claim's part of the evidence
``interruption``        a run that ends early: by a signal, by a closed pipe, by a kill

Output

``verdicts_as_reports`` verdicts as test reports, for the exit code, JUnit and other plugins
``progress_line``       how far training is
``terminal``            what the run will do, and the table of verdicts
``evidence_writer``     the evidence file; which items ``--lf`` runs
``provenance``          where and how the evidence was made
``html_page``         * ``memkit-html-page``: columns and plots in pytest-html's page, with ``--html``

Used by the command line

``preview``             what a run would do, for ``memkit plan``
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Sequence
from typing import Any

import pytest

from memkit.errors import MemkitError
from memkit.paths import LOCK
from memkit.pytest_plugin import arguments, file_watcher, options
from memkit.pytest_plugin.controller import COLLECTED, SEEN, Controller
from memkit.pytest_plugin.settings import publish_data, refusal, settings_of


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_long_names(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    gc.unfreeze()  # what an earlier session in this process has left, see pytest_runtestloop
    file_watcher.begin(early_config)
    with arguments.short_names(early_config, parser, args):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    arguments.release_short_names(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default::memkit.errors.MemkitWarning")
    publish_data(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config), "memkit-controller")


# --- collection ---------------------------------------------------------------------------------------------------


def _there_are_claims() -> bool:
    """Return whether there can be any claims: there are none unless their module has been imported."""
    return "memkit.evidence.claim" in sys.modules


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Item] | None:
    if not _there_are_claims():
        return None
    from memkit.pytest_plugin import collection

    return collection.leave_out(collector, name, obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _there_are_claims():
        from memkit.pytest_plugin import collection

        collection.parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Stop the run at a mistake in a claim or a recipe, with its sentence alone and no traceback."""
    report = yield
    call: Any = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if getattr(error, "by_memkit", False):  # in a file that the session collected for the sake of a node id
        raise refusal(str(error))
    if isinstance(error, MemkitError):
        settings_of(collector.config).refuse(f"{collector.nodeid}: {error}")
    if isinstance(collector, pytest.Module) and not report.failed:
        skipped = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        reason = str(skipped).removeprefix("Skipped: ") or ("no reason was given" if report.skipped else "")
        for path in {collector.path, collector.path.resolve()}:  # it may be a link
            collector.config.stash.setdefault(COLLECTED, {})[path] = reason
    return report


@pytest.hookimpl(specname="pytest_collection_modifyitems", wrapper=True, tryfirst=True)
def pytest_collection_modifyitems_watched(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    before = list(items) if _there_are_claims() else []
    result = yield
    if before:
        from memkit.pytest_plugin import collection

        collection.note_removed(config, before, items)
    return result


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if _there_are_claims():
        from memkit.pytest_plugin import collection

        collection.note_deselected(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _there_are_claims():
        from memkit.pytest_plugin import collection

        try:
            collection.arrange(config, items)
        except MemkitError as error:
            settings_of(config).refuse(str(error))


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller that this worker has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    if SEEN in session.config.stash or _claims_are_missed(session.config):
        from memkit.pytest_plugin import collection

        with settings_of(session.config).refusing():
            collection.hand_over_plan(session)


def _claims_are_missed(config: pytest.Config) -> bool:
    """Return whether registered claims may be missing from a run in which no claim was found."""
    try:
        root = options.root_of(config)
    except MemkitError:  # the paths belong to two locks, and no claims were found there
        return False
    locks = [lock for lock in (root / LOCK, root / "claims" / LOCK) if os.path.lexists(lock)]
    if not locks:
        return False
    from memkit.pytest_plugin.absence import may_be_absent

    return any(may_be_absent(config, lock) for lock in locks)


# --- running ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Keep the garbage collector from walking through all that was collected, again and again."""
    if _there_are_claims():  # ten thousand are some two million objects that live as long as the session
        gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if _there_are_claims() and not item.config.option.setupplan:
        from memkit.pytest_plugin import collection, item_turn

        pair = collection.claim_and_seed(item)
        if pair is not None:
            aggregator: Any = item.config.pluginmanager.get_plugin("memkit-aggregator")
            claim, seed = pair
            item_turn.await_turn(item, claim, seed, meanwhile=aggregator.meanwhile if aggregator else lambda: None)
    return (yield)


@pytest.hookimpl(specname="pytest_runtest_protocol", tryfirst=True)
def pytest_runtest_protocol_without_running(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Report what :func:`pytest_runtest_protocol` found for an item that need not run."""
    if not _there_are_claims():
        return None
    from memkit.pytest_plugin import item_turn

    if item_turn.REPORT not in item.stash:
        return None
    item_turn.report_only(item, nextitem)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not _there_are_claims():
        return None
    from memkit.pytest_plugin import item_call

    return item_call.call(pyfuncitem)
