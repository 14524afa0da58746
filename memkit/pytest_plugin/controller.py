"""The controller's side of a run: receives the plan and starts the aggregator, which carries it out.

Without xdist the controller is the process that runs the tests. With xdist its workers collect the tests, and the first
worker that has finished writes the plan to a file for the controller. A run without claims has no plan and imports
nothing of the engine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memkit.errors import MemkitError
from memkit.pytest_plugin.settings import SETTINGS, refusal, settings_of

if TYPE_CHECKING:
    from memkit.pytest_plugin.aggregator import Aggregator
    from memkit.pytest_plugin.plan import RunPlan

PLAN = pytest.StashKey["RunPlan"]()
FOUND_CLAIMS = pytest.StashKey[set[str]]()
"""The ids of the claims that were found, including those that the options exclude."""
REMOVED_ITEMS = pytest.StashKey[dict[str, int]]()
"""Claim id → the number of its collected items that a hook removed without reporting them as deselected."""
COLLECTED_FILES = pytest.StashKey[dict[Path, str]]()
"""Collected test file → the reason why it was skipped, or ""."""


class Controller:
    """The controller of a run: receives the plan, and starts the aggregator.

    Attributes:
        aggregator: the object that carries out the plan; None before the plan has arrived.
        scheduler: the xdist scheduler that sends out the items of claims look by look; None if it is not used.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.aggregator: Aggregator | None = None
        self.scheduler: Any = None
        self._adaptive = True
        self._html: Any = None
        self._signals = ExitStack()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Pass the settings to an xdist worker."""
        node.workerinput["memkit"] = settings_of(self.config).to_worker()

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self) -> Generator[None, Any, Any]:
        """Replace xdist's scheduler by one that sends out items look by look, where each item goes to one worker."""
        from memkit.pytest_plugin.look_scheduler import LookScheduler, can_replace

        original = yield
        if not can_replace(original):
            self._adaptive = False
            return original
        self.scheduler = LookScheduler(
            self.config, original, lambda: self.aggregator is not None and self.aggregator.plan.ordered
        )
        return self.scheduler

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Read the plan of the first worker that has finished collection."""
        if self.aggregator is None:
            folder = Path(settings_of(self.config).exchange)
            file = folder / f"plan-{node.workerinput['workerid']}.json"
            if file.is_file():
                from memkit.pytest_plugin.plan import RunPlan

                data = json.loads(file.read_text(encoding="utf-8"))
                sys.path.extend(path for path in data["path"] if path not in sys.path)
                self._begin(RunPlan.from_json(data))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self) -> None:
        """Stop the run with the message of a worker that refused bad input."""
        if message := settings_of(self.config).refusal_message():
            raise pytest.UsageError(message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Start the aggregator before the tests run, and end it however the loop ends."""
        option = self.config.option
        runs_no_tests = option.collectonly or option.setuponly or option.setupplan
        has_collection_errors = session.testsfailed and not option.continue_on_collection_errors
        with self._signals:
            try:
                if PLAN in self.config.stash and not runs_no_tests and not has_collection_errors:
                    self._begin(self.config.stash[PLAN])
                return (yield)
            except BrokenPipeError:
                if self.aggregator is None:
                    raise
                raise KeyboardInterrupt("a pipe broke") from None  # pytest then ends the run as after Ctrl-C
            except MemkitError as error:  # a message between the processes of the run could not be written
                raise refusal(str(error)) from error
            finally:
                # -x, --maxfail and Ctrl-C leave the loop with an exception. The results so far are judged nevertheless.
                if self.aggregator is not None:
                    from memkit.pytest_plugin.interruption import signals_ignored

                    with signals_ignored(), settings_of(self.config).errors_refused():
                        self.aggregator.end()

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Keep pytest-html's report, which is made before it is known whether the run has claims."""
        self._html = report

    def pytest_unconfigure(self) -> None:
        """Remove the files that the workers wrote."""
        if SETTINGS in self.config.stash:
            self.config.stash[SETTINGS].close()

    def _begin(self, plan: RunPlan) -> None:
        from memkit.pytest_plugin.aggregator import Aggregator
        from memkit.pytest_plugin.interruption import signals_end_the_run

        self._signals.enter_context(signals_end_the_run())
        settings = settings_of(self.config)
        self.aggregator = Aggregator(self.config, settings, plan, self.scheduler, adaptive=self._adaptive)
        self.config.pluginmanager.register(self.aggregator, "memkit-aggregator")
        if self._html is not None:
            from memkit.pytest_plugin.html_page import HtmlPage

            page = HtmlPage(self.config, self.aggregator.verdicts, self._html)
            self.config.pluginmanager.register(page, "memkit-html-page")
        self.aggregator.begin()
