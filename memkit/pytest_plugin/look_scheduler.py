"""Sends the items of claims to xdist's workers look by look.

xdist's own schedulers send items in batches, so one worker may hold seeds of the first look while another waits for the
verdict on them. This scheduler sends items one by one, in the order of collection, which is the order of the looks. A
worker always has a next item, or knows that there is none, because it runs an item only in these two cases.
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
    """Return whether a scheduler sends each item to exactly one worker, as ``load`` and its variants do."""
    return isinstance(scheduler, (LoadScheduling, WorkStealingScheduling, LoadScopeScheduling))


class LookScheduler:
    """An xdist scheduler that sends items look by look; without claims it delegates to the scheduler of xdist.

    Args:
        config: pytest's configuration.
        original: the scheduler that xdist would use.
        should_activate: returns whether to send the items look by look; called once they are collected.

    Attributes:
        active: whether the items are sent look by look.
        collections_differ: whether a worker that replaced another one collected other items; it was shut down, so the
            place of the worker that died stays empty.
    """

    def __init__(self, config: Any, original: Any, should_activate: Callable[[], bool]) -> None:
        self.config = config
        self.original = original
        self.should_activate = should_activate
        self.active = False
        self.collection: Sequence[str] = ()
        self.collections_differ = False
        self._assigned: dict[Node, list[int]] = {}
        self._ready: set[Node] = set()
        self._unassigned: dict[str, deque[int]] = {}
        self._owners: dict[str, Node] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class of the original scheduler while that one works: xdist prints its name, and plugins inspect it."""
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
        """True if all items are assigned and each worker has at most one, which it runs when it is shut down."""
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
        if not self.original._check_nodes_have_same_collection():  # reports the difference itself
            return
        self.active = True
        self._assigned = {node: [] for node in self.original.nodes}
        self._ready = set(self._assigned)
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

        The item comes after those that the worker already has, since one of these could be waiting for it. Items of a
        worker that died may come before them; they are left for the worker that replaces it, if there is one.
        """
        last = -1 if self.collections_differ else max(self._assigned[node], default=-1)
        candidates = []
        for scope, indices in self._unassigned.items():
            if self._owners.get(scope) in (None, node):
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
