"""What the tests of engines share: an engine of either kind, with one system."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from peoplegraph.systems import System
from peoplegraph.upstream.call import Call, Credential
from peoplegraph.upstream.http1 import Http1Engine
from peoplegraph.upstream.httpx_engine import HttpxEngine
from peoplegraph.upstream.limit import Limits

Engine = Http1Engine | HttpxEngine
MakeEngine = Callable[..., Engine]


def call(
    target: str = "/x", *, reads: bool = True, within_s: float = 5, body: bytes | None = None, retry: bool = False
) -> Call:
    """Return a call to RPM."""
    return Call(
        system=System.RPM,
        method="POST",
        target=target,
        credential=Credential("RpmApiKey", "secret"),
        deadline=asyncio.get_running_loop().time() + within_s,
        reads=reads,
        safe_to_retry=reads or retry,
        body=body,
    )


@pytest.fixture(params=[Http1Engine, HttpxEngine], ids=["http1", "httpx"])
def engine(request: pytest.FixtureRequest) -> MakeEngine:
    """Make an engine with one system."""

    def make(base: str, connections: int = 10, limits: Limits | None = None) -> Engine:
        kind: Any = request.param
        made: Engine = kind({System.RPM: base}, {System.RPM: limits or Limits(connections)})
        return made

    return make


def at_rest(engine: Engine) -> bool:
    """Whether nothing is under way."""
    return "0 in flight" in repr(engine) or ("0 of" in repr(engine) and "0 waiting" in repr(engine))
