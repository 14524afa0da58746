"""Fixtures shared with the tests of training and the store."""

from tests.machines.fixtures import (  # noqa: F401
    _server,
    anywhere,
    elsewhere,
    no_sync,
    one_thread,
    server,
    url,
)
