"""Hands out the items of claims to xdist's workers look by look.

xdist's own schedulers hand out items in batches, so a worker may sit on seeds of the first look while another waits for
their verdict. Here the items go out one by one, in the order of the collection, which is that of the looks. A worker
always has a next item or knows that there is none, for it runs an item only then. `--dist loadfile`, `loadscope` and
`loadgroup` keep their meaning: what belongs together goes to one worker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from xdist.scheduler import LoadScheduling, LoadScopeScheduling, WorkStealingScheduling

Node = Any  # xdist.workermanage.WorkerController

_AHEAD = 2  # the item that runs, and the one after it


def can_replace(scheduler: Any) -> bool:
    """Return whether a scheduler gives every item to one worker, as those of ``load`` and its kin do."""
    return isinstance(scheduler, (LoadScheduling, WorkStealingScheduling, LoadScopeScheduling))


class LookScheduler:
    """Hands out the items of claims look by look; without claims, the scheduler that xdist has chosen does all.

    Args:
        config: pytest's.
        chosen: the scheduler that xdist would use.
        wanted: asked once the items are collected: whether to hand them out look by look.

    Attributes:
        active: whether the items are handed out look by look.
        differs: a worker that came later found other items, so that nobody takes the place of the one that died.
    """

    def __init__(self, config: Any, chosen: Any, wanted: Callable[[], bool]) -> None:
        self.config = config
        self.chosen = chosen
        self.wanted = wanted
        self.active = False
        self.collection: Sequence[str] = ()
        self.differs = False
        self._held: dict[Node, list[int]] = {}
        self._ready: set[Node] = set()
        self._piles: dict[str, deque[int]] = {}
        self._owners: dict[str, Node] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return the chosen scheduler's class while that is at work: xdist prints its name, and plugins ask for it."""
        return LookScheduler if self.active else type(self.chosen)

    def __getattr__(self, name: str) -> Any:
        """Return what the chosen scheduler has beyond what every scheduler must have."""
        return getattr(self.__dict__["chosen"], name)

    # --- what xdist asks -------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """Return all workers."""
        return list(self._held) if self.active else self.chosen.nodes

    @property
    def collection_is_completed(self) -> bool:
        """Return whether every worker has collected."""
        return bool(self.chosen.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        """Return whether all is handed out, and each worker holds one item at most, which it runs when told to end."""
        if not self.active:
            return bool(self.chosen.tests_finished)
        return not self.left and all(len(held) < _AHEAD for held in self._held.values())

    @property
    def has_pending(self) -> bool:
        """Return whether there is anything left to run."""
        return bool(self.left or any(self._held.values())) if self.active else bool(self.chosen.has_pending)

    @property
    def left(self) -> int:
        """Return how many items no worker has been given."""
        return sum(map(len, self._piles.values()))

    def add_node(self, node: Node) -> None:
        """Take note of a worker that is up."""
        if self.active:
            self._held[node] = []
        else:
            self.chosen.add_node(node)

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """Take note of what a worker has collected."""
        if not self.active:
            self.chosen.add_node_collection(node, collection)
        elif list(collection) == list(self.collection):  # it replaces one that died, and must have found the same
            self._ready.add(node)
        else:
            self.differs = True
            node.shutdown()

    def schedule(self) -> None:
        """Start once every worker has collected; go on when one has come later."""
        if self.active:
            self._hand_out()
            return
        if self.chosen.collection is not None or not self.wanted():
            self.chosen.schedule()
            return
        if not self.chosen._check_nodes_have_same_collection():  # which reports what differs
            return
        self.active = True
        self._held = {node: [] for node in self.chosen.nodes}
        self._ready = set(self._held)
        collections = getattr(self.chosen, "node2collection", None) or self.chosen.registered_collections
        self.collection = next(iter(collections.values()))
        for index, nodeid in enumerate(self.collection):
            self._piles.setdefault(self._scope(nodeid), deque()).append(index)
        self._hand_out()

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:
        """Take note that a worker has run an item."""
        if not self.active:
            self.chosen.mark_test_complete(node, item_index, duration)
            return
        self._held[node].remove(item_index)
        self._hand_out()

    def mark_test_pending(self, item: str) -> None:
        """Put back an item that is to be run again."""
        if not self.active:
            self.chosen.mark_test_pending(item)
            return
        self._put_back(self.collection.index(item))
        self._hand_out()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Answer to a steal command, which only the chosen scheduler gives."""
        self.chosen.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: Node) -> str | None:
        """Forget a worker that has gone; return the item it died of, if it did."""
        if not self.active:
            gone: str | None = self.chosen.remove_node(node)
            return gone
        held = self._held.pop(node)
        self._owners = {scope: owner for scope, owner in self._owners.items() if owner is not node}
        if not held:
            return None
        for index in held[1:]:
            self._put_back(index)
        self._hand_out()
        return self.collection[held[0]]

    # --- handing out -----------------------------------------------------------------------------------------

    def _scope(self, nodeid: str) -> str:
        """Return the scope of an item: items of one scope have to stay on one worker; "" for no scope."""
        split = getattr(self.chosen, "_split_scope", None)
        return split(nodeid) if split is not None else ""

    def _put_back(self, index: int) -> None:
        scope = self._scope(self.collection[index])
        self._piles[scope] = deque(sorted([*self._piles.get(scope, ()), index]))

    def _hand_out(self) -> None:
        for size in range(_AHEAD):  # first one to everybody, then a second one
            for node, held in self._held.items():
                if len(held) > size or node.shutting_down or node not in self._ready:
                    continue
                index = self._take_for(node)
                if index is None:
                    node.shutdown()  # it runs what it holds, and ends
                else:
                    held.append(index)
                    node.send_runtest_some([index])

    def _take_for(self, node: Node) -> int | None:
        """Take the first item that a worker may run, or None.

        It never comes before the items that the worker holds, since one of these could be waiting for it. The items of
        a worker that died may come before them. They are for the worker that replaces it, if there is one.
        """
        last = -1 if self.differs else max(self._held[node], default=-1)
        mine = []
        for scope, pile in self._piles.items():
            if self._owners.get(scope) in (None, node):
                index = pile[0] if scope else next((index for index in pile if index > last), -1)
                if index > last:
                    mine.append((index, scope))
        if not mine:
            return None
        index, scope = min(mine)
        self._piles[scope].remove(index)
        if not self._piles[scope]:
            del self._piles[scope]
        if scope:
            self._owners[scope] = node
        return index
