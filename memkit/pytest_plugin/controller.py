"""The controller's side of a run: receives the plan, then has the aggregator carry it out.

Without xdist the controller is the process that runs the tests. With xdist it collects nothing: its workers do, and the
first one that has collected leaves the plan in a file. In a run without claims there is no plan, and nothing of the
engine is imported.
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
SEEN = pytest.StashKey[set[str]]()
"""The ids of the claims that were found, also of those that the options exclude."""
REMOVED = pytest.StashKey[dict[str, int]]()
"""The claims of which a hook removed items that pytest had collected, and did not say so → how many items."""
COLLECTED = pytest.StashKey[dict[Path, str]]()
"""The test files that were collected → why they were skipped, or ""."""


class Controller:
    """Waits for the plan of the run.

    Attributes:
        aggregator: what carries the plan out, once there is one.
        scheduler: the xdist scheduler that hands out the items of claims look by look, if there is one.
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
        """Hand the settings to a worker of xdist."""
        node.workerinput["memkit"] = settings_of(self.config).to_worker()

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_xdist_make_scheduler(self) -> Generator[None, Any, Any]:
        """Hand out the items of claims look by look, where xdist sends every item to one worker."""
        from memkit.pytest_plugin.look_scheduler import LookScheduler, can_replace

        chosen = yield
        if not can_replace(chosen):
            self._adaptive = False
            return chosen
        self.scheduler = LookScheduler(
            self.config, chosen, lambda: self.aggregator is not None and self.aggregator.plan.ordered
        )
        return self.scheduler

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Take the plan from the first worker that has collected."""
        if self.aggregator is None:
            exchange = Path(settings_of(self.config).exchange)
            file = exchange / f"plan-{node.workerinput['workerid']}.json"
            if file.is_file():
                from memkit.pytest_plugin.plan import RunPlan

                data = json.loads(file.read_text(encoding="utf-8"))
                sys.path.extend(path for path in data["path"] if path not in sys.path)
                self._begin(RunPlan.from_json(data))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self) -> None:
        """Stop with the sentence that a worker left when it refused bad input."""
        if message := settings_of(self.config).refused():
            raise pytest.UsageError(message)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Begin with the plan, and end what was begun, however the loop ends."""
        option = self.config.option
        looks_only = option.collectonly or option.setuponly or option.setupplan
        stopped = session.testsfailed and not option.continue_on_collection_errors
        with self._signals:
            try:
                if PLAN in self.config.stash and not looks_only and not stopped:
                    self._begin(self.config.stash[PLAN])
                return (yield)
            except BrokenPipeError:
                if self.aggregator is None:
                    raise
                raise KeyboardInterrupt("a pipe broke") from None  # pytest goes on as after Ctrl-C
            except MemkitError as error:  # what the processes of the run leave for one another cannot be written
                raise refusal(str(error)) from error
            finally:
                # -x, --maxfail and Ctrl-C leave the loop by an exception: what came in still gets its verdict.
                if self.aggregator is not None:
                    from memkit.pytest_plugin.interruption import undisturbed

                    with undisturbed(), settings_of(self.config).refusing():
                        self.aggregator.end()

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_html_report_title(self, report: Any) -> None:
        """Remember pytest-html's report: its title and columns are set before it is known whether there are claims."""
        self._html = report

    def pytest_unconfigure(self) -> None:
        """Remove what the workers left."""
        if SETTINGS in self.config.stash:
            self.config.stash[SETTINGS].close()

    def _begin(self, plan: RunPlan) -> None:
        from memkit.pytest_plugin.aggregator import Aggregator
        from memkit.pytest_plugin.interruption import ending_by_signals

        self._signals.enter_context(ending_by_signals())
        settings = settings_of(self.config)
        self.aggregator = Aggregator(self.config, settings, plan, self.scheduler, adaptive=self._adaptive)
        self.config.pluginmanager.register(self.aggregator, "memkit-aggregator")
        if self._html is not None:
            from memkit.pytest_plugin.html_page import HtmlPage

            page = HtmlPage(self.config, self.aggregator.verdicts, self._html)
            self.config.pluginmanager.register(page, "memkit-html-page")
        self.aggregator.begin()
