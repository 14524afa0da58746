"""The pytest plugin: the thin adapter between pytest and the engine.

This file holds the pytest hooks that every process of every run needs. The list below names every other module of the
folder, grouped by the phase of a run in which it works. The entry point registers this file with pytest as ``memkit``.
A star marks a module whose object is registered under the name beside it, as soon as it is needed.

Start: the only modules that a run without claims imports

``options``             the options of the command line, and ``[tool.memkit]``
``arguments``           short option names where they are free; which arguments are paths
``settings``            the resolved options, and the paths that a run uses
``file_watcher``      * ``memkit-file-watcher``: records which project files the tests of claims open
``controller``        * ``memkit-controller``: receives the plan of the run and starts the aggregator

Start: with xdist workers

``exchange_folder``     the folder through which the processes of a run exchange files
``look_scheduler``      sends items to the workers one by one, in the order of the looks

Collection: imported with the first claim

``collection``          makes one item per claim and seed, in the order of the looks, and the plan of the run
``seeds``               the seeds of a claim, which its registration determines
``absence``             registered claims that the run should have collected and did not; also used without claims
``measurement_keys``    what a measurement depends on: its key in the store, and the files it has read
``other_plugins``       active plugins that may change a measurement, and are therefore part of its key
``compute_platform``    the versions and hardware that the last bits of a result depend on
``plan``                the plan of a run, as JSON that a worker passes to the controller

On a worker, or in the only process

``item_turn``           makes an item wait for its look and its models, or takes its measurement from the store
``fixtures``          * ``memkit-fixtures``: ``seed``, ``arms``, ``trained``, ``cell``, ``scores``
``item_call``           runs a claim's test on one seed, and makes a measurement from its result
``measurement``         the measurement of one seed, as it is sent to the controller and as it is stored
``measurement_keeper``  * ``memkit-measurement-keeper``: stores a measurement once the whole item has passed

On the controller

``aggregator``        * ``memkit-aggregator``: carries out the plan with the modules below, driven by pytest's hooks
``looks``               opens the seeds of each claim look by look, and requests the training they need
``training_thread``     trains models while tests run
``messages``            messages from the controller to the items that wait for their turn
``reports_to_verdicts`` receives the reports of all items, and judges each claim
``claim_run``           the state of a claim during the run: its results so far, and which seeds come next
``tries``               the result of a seed's last try, since another plugin may run a test again
``claim_evidence``      the evidence of one claim
``interruption``        a run that ends early: by a signal, by a closed pipe, by a kill

Output

``verdicts_as_reports`` verdicts as test reports, for the exit code, JUnit and other plugins
``progress_line``       the progress of training
``terminal``            a summary of what the run will do, and the table of verdicts
``evidence_writer``     the evidence file; which items ``--lf`` runs
``provenance``          where and how the evidence was made
``html_page``         * ``memkit-html-page``: columns and plots for the page of pytest-html, with ``--html``

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
from memkit.pytest_plugin.controller import COLLECTED_FILES, FOUND_CLAIMS, Controller
from memkit.pytest_plugin.settings import publish_data_folder, refusal, settings_of


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_long_names(parser)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    gc.unfreeze()  # an earlier session in this process may have frozen objects, see pytest_runtestloop
    file_watcher.start_recording(early_config)
    with arguments.short_names(early_config, parser, args):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    arguments.release_short_names(config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "default::memkit.errors.MemkitWarning")
    publish_data_folder(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config), "memkit-controller")


# --- collection ---------------------------------------------------------------------------------------------------


def _can_have_claims() -> bool:
    """Return whether the run can have claims: it cannot unless the module of ``@claim`` has been imported."""
    return "memkit.evidence.claim" in sys.modules


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> list[pytest.Item] | None:
    if not _can_have_claims():
        return None
    from memkit.pytest_plugin import collection

    return collection.exclude_from_collection(collector, name, obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _can_have_claims():
        from memkit.pytest_plugin import collection

        collection.parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Stop the run at an error in a claim or a recipe, and print its message without a traceback."""
    report = yield
    call: Any = getattr(report, "call", None)
    error = call.excinfo.value if call is not None and call.excinfo is not None else None
    if getattr(error, "by_memkit", False):  # raised while pytest collected a file to resolve a node id
        raise refusal(str(error))
    if isinstance(error, MemkitError):
        settings_of(collector.config).refuse(f"{collector.nodeid}: {error}")
    if isinstance(collector, pytest.Module) and not report.failed:
        skipped = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
        reason = str(skipped).removeprefix("Skipped: ") or ("no reason was given" if report.skipped else "")
        for path in {collector.path, collector.path.resolve()}:  # the path may be a symbolic link
            collector.config.stash.setdefault(COLLECTED_FILES, {})[path] = reason
        if _can_have_claims():
            gc.freeze()  # the items of a file live as long as the session, see pytest_runtestloop
    return report


@pytest.hookimpl(specname="pytest_collection_modifyitems", wrapper=True, tryfirst=True)
def pytest_collection_modifyitems_watched(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    before = list(items) if _can_have_claims() else []
    result = yield
    if before:
        from memkit.pytest_plugin import collection

        collection.record_removed_items(config, before, items)
    return result


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    if _can_have_claims():
        from memkit.pytest_plugin import collection

        collection.record_deselected_items(items)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _can_have_claims():
        from memkit.pytest_plugin import collection

        try:
            collection.arrange(config, items)
        except MemkitError as error:
            settings_of(config).refuse(str(error))


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller that this worker has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    if FOUND_CLAIMS in session.config.stash or _claims_may_be_missing(session.config):
        from memkit.pytest_plugin import collection

        with settings_of(session.config).errors_refused():
            collection.publish_plan(session)


def _claims_may_be_missing(config: pytest.Config) -> bool:
    """Return whether registered claims may be missing from a run in which no claim was found."""
    try:
        root = options.root_of(config)
    except MemkitError:  # the paths belong to two locks, which does not matter without claims
        return False
    locks = [lock for lock in (root / LOCK, root / "claims" / LOCK) if os.path.lexists(lock)]
    if not locks:
        return False
    from memkit.pytest_plugin.absence import may_miss_claims

    return any(may_miss_claims(config, lock) for lock in locks)


# --- running ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Exempt the collected items from garbage collection, which would traverse them again and again."""
    if _can_have_claims():  # ten thousand claims are about two million objects that live as long as the session
        gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if _can_have_claims() and not item.config.option.setupplan:
        from memkit.pytest_plugin import collection, item_turn

        pair = collection.claim_and_seed(item)
        if pair is not None:
            aggregator: Any = item.config.pluginmanager.get_plugin("memkit-aggregator")
            claim, seed = pair
            on_poll = aggregator.show_progress if aggregator else lambda: None
            item_turn.await_turn(item, claim, seed, on_poll=on_poll)
    return (yield)


@pytest.hookimpl(specname="pytest_runtest_protocol", tryfirst=True)
def pytest_runtest_protocol_without_running(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Issue the report that :func:`pytest_runtest_protocol` made for an item that need not run."""
    if not _can_have_claims():
        return None
    from memkit.pytest_plugin import item_turn

    if item_turn.REPORT not in item.stash:
        return None
    item_turn.report_only(item, nextitem)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not _can_have_claims():
        return None
    from memkit.pytest_plugin import item_call

    return item_call.call(pyfuncitem)
