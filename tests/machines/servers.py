"""A local server with S3's protocol (moto's), and the faults that can occur between it and a client."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

import boto3
import botocore.loaders
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.machines.clocks import PATIENCE

Fault = Callable[[Callable[..., Any], dict[str, Any], Callable[..., Any]], Iterable[bytes]]

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "lab",
    "AWS_SECRET_ACCESS_KEY": "lab",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

LOADER = botocore.loaders.create_loader()
"""Botocore's loader of the description of S3, which all clients share so that it is read only once."""


class Server:
    """A local S3 server with one bucket, ``lab``.

    Attributes:
        faults: the faults of the next requests, in order (None: no fault); later requests are served.
        requests: method → the number of requests.
        down: whether every request fails.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault | None] = deque()
        self.requests: Counter[str] = Counter()
        self.down = False
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet)
        # The interval at which the server checks whether it should shut down.
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": self.address}
        self._client = boto3.client(
            "s3",
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
        )
        self._client.create_bucket(Bucket="lab")

    def __getitem__(self, key: str) -> bytes:
        content: bytes = self._client.get_object(Bucket="lab", Key=key)["Body"].read()
        return content

    def __setitem__(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket="lab", Key=key, Body=content)

    def __contains__(self, key: str) -> bool:
        found = self._client.list_objects_v2(Bucket="lab", Prefix=key).get("Contents", [])
        return key in {entry["Key"] for entry in found}

    def reset(self) -> None:
        """Clear the counts and the faults; the objects stay."""
        self.faults.clear()
        self.requests.clear()
        self.down = False

    def close(self) -> None:
        """Shut the server down."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "boto3" not in environ.get("HTTP_USER_AGENT", "").lower() or "aiobotocore" in environ["HTTP_USER_AGENT"]:
            self.requests[environ["REQUEST_METHOD"]] += 1
            fault = unavailable if self.down else self.faults.popleft() if self.faults else None
            if fault is not None:
                return fault(self._app, environ, start_response)
        found: Iterable[bytes] = self._app(environ, start_response)
        return found


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


def unavailable(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer that the server is overloaded."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
    return [b""]


def cut_off(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Close the connection while the request is being sent."""
    environ["wsgi.input"].read(min(1, int(environ.get("CONTENT_LENGTH") or 0)))
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def answer_lost(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Serve the request, but lose the answer."""
    list(app(environ, lambda *answer: lambda text: None))
    return unavailable(app, {**environ, "CONTENT_LENGTH": 0}, start_response)


def slow(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Serve the request after a delay."""
    time.sleep(0.05)
    found: Iterable[bytes] = app(environ, start_response)
    return found


class Held:
    """A fault that holds a request until a test releases it.

    Attributes:
        came: set when the request has arrived.
        go: set by the test to let the request continue.
    """

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()

    def __call__(self, app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.came.set()
        assert self.go.wait(PATIENCE)
        found: Iterable[bytes] = app(environ, start_response)
        return found
