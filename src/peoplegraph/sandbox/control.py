"""The switch of the faults, over HTTP: for people and for tests, never called by a gateway."""

from collections.abc import Awaitable, Callable, Sequence

from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from peoplegraph.sandbox.faults import Fault, FaultError, Faults, parse

_TEXTS = TypeAdapter(list[str])

Switch = Callable[[Sequence[Fault]], Awaitable[None]]


def control(faults: Faults, switch: Switch) -> Starlette:
    """Return the application: `GET /faults` lists what is on, `PUT /faults` takes what is to be on."""

    async def listed(_: Request) -> JSONResponse:
        return JSONResponse([str(fault) for fault in faults])

    async def put(request: Request) -> JSONResponse:
        try:
            texts = _TEXTS.validate_json(await request.body())
            await switch([parse(text) for text in texts])
        except ValidationError:
            return JSONResponse({"message": "the body must be a JSON array of strings"}, 400)
        except FaultError as error:
            return JSONResponse({"message": str(error)}, 400)
        except OSError as error:
            return JSONResponse({"message": str(error)}, 409)
        return await listed(request)

    return Starlette(routes=[Route("/faults", listed, methods=["GET"]), Route("/faults", put, methods=["PUT"])])
