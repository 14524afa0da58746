"""The fixtures that tests of training, stores and scheduling share."""

from tests.machines.fixtures import (  # noqa: F401
    _server,
    anywhere,
    elsewhere,
    no_sync,
    one_thread,
    server,
    url,
)
