"""Fixtures shared with the tests of training, the store and scheduling."""

from tests.machines.fixtures import (  # noqa: F401
    _server,
    anywhere,
    elsewhere,
    no_sync,
    one_thread,
    server,
    url,
)
