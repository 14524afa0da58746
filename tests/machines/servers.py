"""A server of S3's protocol on loopback (moto's), and what can go wrong between it and a client."""

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
"""Reads what botocore knows of S3, once for all clients that use this one."""


class Server:
    """S3 on loopback, with one bucket, ``lab``.

    Attributes:
        faults: what happens to the next requests, in their order; those after them are served.
        requests: method → how many came in.
        down: whether every request fails.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault | None] = deque()
        self.requests: Counter[str] = Counter()
        self.down = False
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet)
        # It looks that often whether it is to shut down.
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
        """Forget what was counted and what was to go wrong; objects stay."""
        self.faults.clear()
        self.requests.clear()
        self.down = False

    def close(self) -> None:
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
    """The server has too much to do."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
    return [b""]


def cut_off(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The connection ends while the request is being sent."""
    environ["wsgi.input"].read(min(1, int(environ.get("CONTENT_LENGTH") or 0)))
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def answer_lost(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The request is served, and its answer does not arrive."""
    list(app(environ, lambda *answer: lambda text: None))
    return unavailable(app, {**environ, "CONTENT_LENGTH": 0}, start_response)


def slow(app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """It takes its time."""
    time.sleep(0.05)
    found: Iterable[bytes] = app(environ, start_response)
    return found


class Held:
    """The request waits until it is let go.

    Attributes:
        came: set when the request is there.
        go: lets it go on.
    """

    def __init__(self) -> None:
        self.came, self.go = threading.Event(), threading.Event()

    def __call__(self, app: Any, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.came.set()
        assert self.go.wait(PATIENCE)
        found: Iterable[bytes] = app(environ, start_response)
        return found
