"""Dealing items to xdist's workers look by look.

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


def can_deal_for(scheduler: Any) -> bool:
    """Whether a scheduler gives every item to one worker, as those of ``load`` and its kin do."""
    return isinstance(scheduler, (LoadScheduling, WorkStealingScheduling, LoadScopeScheduling))


class Dealer:
    """An xdist scheduler: that of the user's choice, until there are claims among the items.

    Args:
        config: pytest's.
        chosen: the scheduler that xdist would use.
        wanted: asked once the items are collected: whether to deal them look by look.

    Attributes:
        differs: a worker that came later found other items, so that nobody takes the place of the one that died.
    """

    def __init__(self, config: Any, chosen: Any, wanted: Callable[[], bool]) -> None:
        self.config = config
        self.chosen = chosen
        self.wanted = wanted
        self.dealing = False
        self.collection: Sequence[str] = ()
        self.differs = False
        self._hands: dict[Node, list[int]] = {}
        self._ready: set[Node] = set()
        self._piles: dict[str, deque[int]] = {}
        self._owners: dict[str, Node] = {}

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return that of the chosen scheduler while it does the work: xdist prints its name, and plugins ask for it."""
        return Dealer if self.dealing else type(self.chosen)

    def __getattr__(self, name: str) -> Any:
        """Return what the chosen scheduler has beyond what every scheduler must have."""
        return getattr(self.__dict__["chosen"], name)

    # --- what xdist asks -------------------------------------------------------------------------------------

    @property
    def nodes(self) -> list[Node]:
        """All workers."""
        return list(self._hands) if self.dealing else self.chosen.nodes

    @property
    def collection_is_completed(self) -> bool:
        """Whether every worker has collected."""
        return bool(self.chosen.collection_is_completed)

    @property
    def tests_finished(self) -> bool:
        """Whether all is dealt, and each worker has at most one item left, which it runs when it is shut down."""
        if not self.dealing:
            return bool(self.chosen.tests_finished)
        return not self.left and all(len(hand) < _AHEAD for hand in self._hands.values())

    @property
    def has_pending(self) -> bool:
        """Whether there is anything left to run."""
        return bool(self.left or any(self._hands.values())) if self.dealing else bool(self.chosen.has_pending)

    @property
    def left(self) -> int:
        """Items that no worker has been given."""
        return sum(map(len, self._piles.values()))

    def add_node(self, node: Node) -> None:
        """A worker is up."""
        if self.dealing:
            self._hands[node] = []
        else:
            self.chosen.add_node(node)

    def add_node_collection(self, node: Node, collection: Sequence[str]) -> None:
        """A worker has collected."""
        if not self.dealing:
            self.chosen.add_node_collection(node, collection)
        elif list(collection) == list(self.collection):  # it replaces one that died, and must have found the same
            self._ready.add(node)
        else:
            self.differs = True
            node.shutdown()

    def schedule(self) -> None:
        """Start, once every worker has collected; deal on, when one has come later."""
        if self.dealing:
            self._deal()
            return
        if self.chosen.collection is not None or not self.wanted():
            self.chosen.schedule()
            return
        if not self.chosen._check_nodes_have_same_collection():  # which reports what differs
            return
        self.dealing = True
        self._hands = {node: [] for node in self.chosen.nodes}
        self._ready = set(self._hands)
        collections = getattr(self.chosen, "node2collection", None) or self.chosen.registered_collections
        self.collection = next(iter(collections.values()))
        for index, nodeid in enumerate(self.collection):
            self._piles.setdefault(self._scope(nodeid), deque()).append(index)
        self._deal()

    def mark_test_complete(self, node: Node, item_index: int, duration: float = 0) -> None:
        """A worker has run an item."""
        if not self.dealing:
            self.chosen.mark_test_complete(node, item_index, duration)
            return
        self._hands[node].remove(item_index)
        self._deal()

    def mark_test_pending(self, item: str) -> None:
        """An item is to be run again."""
        if not self.dealing:
            self.chosen.mark_test_pending(item)
            return
        self._put_back(self.collection.index(item))
        self._deal()

    def remove_pending_tests_from_node(self, node: Node, indices: Sequence[int]) -> None:
        """Answer to a steal command, which only the chosen scheduler gives."""
        self.chosen.remove_pending_tests_from_node(node, indices)

    def remove_node(self, node: Node) -> str | None:
        """A worker has gone; returns the item it died of, if it did."""
        if not self.dealing:
            gone: str | None = self.chosen.remove_node(node)
            return gone
        hand = self._hands.pop(node)
        self._owners = {scope: owner for scope, owner in self._owners.items() if owner is not node}
        if not hand:
            return None
        for index in hand[1:]:
            self._put_back(index)
        self._deal()
        return self.collection[hand[0]]

    # --- dealing ---------------------------------------------------------------------------------------------

    def _scope(self, nodeid: str) -> str:
        """What has to stay on one worker; "" for nothing."""
        split = getattr(self.chosen, "_split_scope", None)
        return split(nodeid) if split is not None else ""

    def _put_back(self, index: int) -> None:
        scope = self._scope(self.collection[index])
        self._piles[scope] = deque(sorted([*self._piles.get(scope, ()), index]))

    def _deal(self) -> None:
        for size in range(_AHEAD):  # first one to everybody, then a second one
            for node, hand in self._hands.items():
                if len(hand) > size or node.shutting_down or node not in self._ready:
                    continue
                index = self._take_for(node)
                if index is None:
                    node.shutdown()  # it runs what it holds, and ends
                else:
                    hand.append(index)
                    node.send_runtest_some([index])

    def _take_for(self, node: Node) -> int | None:
        """The first item that a worker may run.

        Never one that comes before what it holds, as the items of a worker that died may: what it holds could be
        waiting for that one. Those are for the worker that comes in its place, if one does.
        """
        held = -1 if self.differs else max(self._hands[node], default=-1)
        mine = []
        for scope, pile in self._piles.items():
            if self._owners.get(scope) in (None, node):
                index = pile[0] if scope else next((index for index in pile if index > held), -1)
                if index > held:
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
