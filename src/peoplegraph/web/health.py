"""What who runs the gateway asks of it: whether it lives, whether it is ready, and its metrics."""

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from peoplegraph.access.caller import KeysUnavailable, Unauthenticated
from peoplegraph.access.gate import Gate
from peoplegraph.observe import metrics
from peoplegraph.observe.monitor import Monitor
from peoplegraph.scopes import Scope

_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Health:
    """Whether the gateway is ready: it has begun, is not about to end, and its event loop has time.

    `breakers` tells the state of each system's circuit breaker, or None before the gateway has begun. A system that
    fails makes it not ready only where `needs_upstreams` says so, since all but its fields is answered. `store`
    tells the state of what gateways share; without it each goes on alone, and is ready.
    """

    def __init__(
        self,
        monitor: Monitor,
        breakers: Callable[[], Mapping[str, str] | None],
        store: Callable[[], str] | None = None,
        *,
        needs_upstreams: bool,
    ) -> None:
        self._monitor = monitor
        self._breakers = breakers
        self._store = store
        self._needs_upstreams = needs_upstreams
        self.is_draining = False

    def __repr__(self) -> str:
        return f"<Health {self.status}>"

    @property
    def status(self) -> str:
        """What keeps the gateway from being ready, or `ready`."""
        breakers = self._breakers()
        if self.is_draining:
            return "draining"
        if breakers is None:
            return "starting"
        if self._monitor.is_starved:
            return "starved"
        if self._needs_upstreams and "open" in breakers.values():
            return "upstreams"
        return "ready"

    async def live(self, _: Request) -> Response:
        """Say that the process answers."""
        return PlainTextResponse("ok\n", headers=_NO_STORE)

    async def ready(self, _: Request) -> Response:
        """Say whether requests may be sent here: 200, or 503 with what keeps them from it."""
        status = self.status
        body: dict[str, object] = {
            "status": status,
            "eventLoopLagMs": round(self._monitor.lag_s * 1000, 1),
            "breakers": self._breakers() or {},
        }
        if self._store is not None:
            body["shared"] = self._store()
        return JSONResponse(body, 200 if status == "ready" else 503, headers=_NO_STORE)


async def exposed(request: Request, gate: Gate, *, to_everybody: bool) -> Response:
    """Answer with the metrics, if who asks may read them."""
    if not to_everybody:
        address = request.client.host if request.client else ""
        try:
            caller = await gate.admit(request.headers.get("authorization"), address)
        except Unauthenticated as error:
            headers = {"WWW-Authenticate": 'Bearer realm="peoplegraph"', **_NO_STORE}
            return PlainTextResponse(f"{error}\n", 401, headers=headers)
        except KeysUnavailable:
            return PlainTextResponse("The keys to check the token with cannot be had for now\n", 503, _NO_STORE)
        if Scope.METRICS not in caller.scopes:
            return PlainTextResponse("This needs the scope `metrics`\n", 403, headers=_NO_STORE)
    body, content_type = metrics.exposition(request.headers.get("accept", ""))
    return Response(body, headers={"Content-Type": content_type, **_NO_STORE})
