"""Sends the items of claims to xdist's workers look by look.

An item is a test on one seed. An item of a later look occupies its worker until its claim has been judged at the
earlier look (:mod:`memkit.pytest_plugin.item_turn`). xdist's own schedulers send items in batches, so items of the
earlier look may queue behind an item that waits for their verdict. This scheduler sends items one by one, in the order
of collection, in which earlier looks come first.

A worker of xdist starts an item only when it knows its next item, or knows that there is none. So each worker has two
items, or has been told to shut down.
`--dist loadfile`, `loadscope` and `loadgroup` keep their meaning: items of one scope go to one worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from xdist.scheduler import LoadScheduling, LoadScopeScheduling, WorkStealingScheduling

Node = Any  # xdist.workermanage.WorkerController

_ITEMS_PER_WORKER = 2  # the item that runs, and the next one


def can_replace(scheduler: Any) -> bool:
    """Return whether :class:`LookScheduler` can replace a scheduler: one that sends each item to exactly one worker.

    ``load`` and its variants do so, ``each`` does not.
    """
    return isinstance(scheduler, (LoadScheduling, WorkStealingScheduling, LoadScopeScheduling))


class LookScheduler:
    """An xdist scheduler that sends items look by look.

    It delegates everything to xdist's own scheduler in a run without claims, or if another plugin has reordered items.

    Args:
        config: pytest's configuration.
        original: the scheduler that xdist would use.
        should_activate: returns whether the run has claims, with items in the order of their looks; called once, after
            collection.

    Attributes:
        active: whether the items are sent look by look.
        collections_differ: whether a replacement for a dead worker collected other items than the rest. It was shut
            down, so nobody can run what the dead worker left.
    """

    def __init__(self, config: Any, original: Any, should_activate: Callable[[], bool]) -> None:
        self.config = config
        self.original = original
        self.should_activate = should_activate
        self.active = False
        self.collection: Sequence[str] = ()
        self.collections_differ = False
        # Items are known by their index in ``collection``; a worker's running item is the first of its items.
        self._assigned: dict[Node, list[int]] = {}
        self._ready: set[Node] = set()
        self._unassigned: dict[str, deque[int]] = {}
        self._owners: dict[str, Node] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The original scheduler's class while this one delegates to it: xdist prints it, and plugins inspect it."""
        return LookScheduler if self.active else type(self.original)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the original scheduler that this one does not have."""
        return getattr(self.__dict__["original"], name)

    # --- xdist's interface -----------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """All workers."""
        return list(self._assigned) if self.active else self.original.nodes

    @property
    def collection_is_completed(self) -> bool:
        """True if every worker has collected."""
        return bool(self.original.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        """True if all items are assigned, and no worker has more than one; told to shut down, it then runs that one."""
        if not self.active:
            return bool(self.original.tests_finished)
        return not self.unassigned_count and all(len(items) < _ITEMS_PER_WORKER for items in self._assigned.values())

    @property
    def has_pending(self) -> bool:
        """True if any item has not been run."""
        if not self.active:
            return bool(self.original.has_pending)
        return bool(self.unassigned_count or any(self._assigned.values()))

    @property
    def unassigned_count(self) -> int:
        """The number of items that are assigned to no worker."""
        return sum(map(len, self._unassigned.values()))

    def add_node(self, node: Node) -> None:
        """Add a worker that has started."""
        if self.active:
            self._assigned[node] = []
        else:
            self.original.add_node(node)

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Record the items that a worker has collected."""
        if not self.active:
            self.original.add_node_collection(node, collection)
        elif list(collection) == list(self.collection):  # a replacement must have collected the same items
            self._ready.add(node)
        else:
            self.collections_differ = True
            node.shutdown()

    def schedule(self) -> None:
        """Start once every worker has collected; go on when a replacement has collected."""
        if self.active:
            self._assign_items()
            return
        if self.original.collection is not None or not self.should_activate():
            self.original.schedule()
            return
        if not self.original._check_nodes_have_same_collection():  # which reports the difference to pytest
            return
        self.active = True
        self._assigned = {node: [] for node in self.original.nodes}
        self._ready = set(self._assigned)
        # LoadScopeScheduling has another name for it than the others.
        collections = getattr(self.original, "node2collection", None) or self.original.registered_collections
        self.collection = next(iter(collections.values()))
        for index, nodeid in enumerate(self.collection):
            self._unassigned.setdefault(self._scope(nodeid), deque()).append(index)
        self._assign_items()

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:
        """Record that a worker has run an item."""
        if not self.active:
            self.original.mark_test_complete(node, item_index, duration)
            return
        self._assigned[node].remove(item_index)
        self._assign_items()

    def mark_test_pending(self, item: str) -> None:
        """Put back an item that has to run again."""
        if not self.active:
            self.original.mark_test_pending(item)
            return
        self._put_back(self.collection.index(item))
        self._assign_items()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Remove items from a worker, for another worker; only the original scheduler requests this."""
        self.original.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: Node) -> str | None:
        """Remove a worker that has ended; return the item during which it died, or None if it did not die."""
        if not self.active:
            crash_item: str | None = self.original.remove_node(node)
            return crash_item
        items = self._assigned.pop(node)
        self._owners = {scope: owner for scope, owner in self._owners.items() if owner is not node}
        if not items:
            return None
        # xdist reports the first item, which was running, as crashed.
        for index in items[1:]:
            self._put_back(index)
        self._assign_items()
        return self.collection[items[0]]

    # --- assignment ------------------------------------------------------------------------------------------

    def _scope(self, nodeid: str) -> str:
        """Return the scope of an item, whose items must all run on one worker; "" for no scope."""
        split = getattr(self.original, "_split_scope", None)
        return split(nodeid) if split is not None else ""

    def _put_back(self, index: int) -> None:
        scope = self._scope(self.collection[index])
        self._unassigned[scope] = deque(sorted([*self._unassigned.get(scope, ()), index]))

    def _assign_items(self) -> None:
        for count in range(_ITEMS_PER_WORKER):  # one item for every worker, then a second one
            for node, items in self._assigned.items():
                if len(items) > count or node.shutting_down or node not in self._ready:
                    continue
                index = self._take_item(node)
                if index is None:
                    node.shutdown()  # the worker still runs the items that it has
                else:
                    items.append(index)
                    node.send_runtest_some([index])

    def _take_item(self, node: Node) -> int | None:
        """Return the first unassigned item that a worker may run, and remove it; None if there is no such item.

        The item must come after those that the worker has. If it came before, one of these might wait for the verdict
        that needs it, and the worker would never get to it. Only items that a dead worker left can come before; they
        stay unassigned until its replacement takes them.
        """
        # Without a replacement, the waiting items are told that the run was stopped, so any order will do.
        last = -1 if self.collections_differ else max(self._assigned[node], default=-1)
        candidates = []
        for scope, indices in self._unassigned.items():
            if self._owners.get(scope) in (None, node):
                # Within a scope the order is fixed.
                index = indices[0] if scope else next((index for index in indices if index > last), -1)
                if index > last:
                    candidates.append((index, scope))
        if not candidates:
            return None
        index, scope = min(candidates)
        self._unassigned[scope].remove(index)
        if not self._unassigned[scope]:
            del self._unassigned[scope]
        if scope:
            self._owners[scope] = node
        return index
