"""What can go wrong with an emulated system, while it runs: each fault in one class.

Written `SYSTEM:KIND[,option=value]…` on the command line and at the control endpoint, such as
`rpm:latency,ms=300,jitter_ms=100` or `disputes:reset,when=after,call=DELETE,times=1`.
"""

import json
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

NOT_CARRIED_OUT = 503
"""The one server error that says that nothing was done; behind the others the work may well be."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response on its way out, and what goes wrong with it there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay_s: float = 0
    """Before its first byte."""
    pause_s: float = 0
    """Behind each byte of its body."""
    truncated: bool = False
    """Whether half of its body is cut off."""
    reset: bool = False
    """Whether it is not sent, and the connection is reset."""


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    system: str
    """The system's name, in small letters."""

    def __str__(self) -> str:
        options = self.model_dump(exclude={"system", "kind"}, exclude_defaults=True)
        kind: str = self.kind  # type: ignore[attr-defined]  # each subclass has one
        texts = (
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in options.items()
        )
        return ",".join([f"{self.system}:{kind}", *texts])


class Refuse(_Fault):
    """Nobody listens: connections are refused, and those that were open are closed."""

    kind: Literal["refuse"]


class CallFault(_Fault):
    """A fault of single calls, of some or of all."""

    call: str = ""
    """Only calls in whose method and path, as in `DELETE /assignees/1`, this occurs."""
    rate: float = Field(default=1, gt=0, le=1)
    """The share of the calls that it strikes, by chance."""
    times: int | None = Field(default=None, ge=1)
    """How many calls it strikes before it is over."""

    @property
    def carried_out(self) -> bool:
        """Whether the call has its effect nevertheless."""
        return True

    @property
    def unread(self) -> bool:
        """Whether even the request's body is not read."""
        return False

    def spoil(self, response: Response) -> Response:
        """Return what becomes of the response."""
        raise NotImplementedError


class Latency(CallFault):
    """The work is done at once; its answer comes `ms` milliseconds later, give or take `jitter_ms`."""

    kind: Literal["latency"]
    ms: float = Field(default=500, ge=0)
    jitter_ms: float = Field(default=0, ge=0)

    def spoil(self, response: Response) -> Response:
        """Hold the response back."""
        delay_ms = self.ms + random.uniform(-self.jitter_ms, self.jitter_ms)  # noqa: S311  # no secret
        return replace(response, delay_s=response.delay_s + max(0, delay_ms) / 1000)


class Throttle(CallFault):
    """429, with `Retry-After: after_s`; nothing is done."""

    kind: Literal["throttle"]
    after_s: int = Field(default=1, ge=0)

    @property
    def carried_out(self) -> bool:
        """Never."""
        return False

    def spoil(self, response: Response) -> Response:
        """Answer 429."""
        return _answering(response, 429, {"message": "Too many requests"}, **{"Retry-After": str(self.after_s)})


class Error(CallFault):
    """A server error. A 503 does nothing; behind the others the work is done, which is the worse for a client."""

    kind: Literal["error"]
    status: int = Field(default=NOT_CARRIED_OUT, ge=500, le=599)

    @property
    def carried_out(self) -> bool:
        """Unless it is a 503."""
        return self.status != NOT_CARRIED_OUT

    def spoil(self, response: Response) -> Response:
        """Answer with the status."""
        return _answering(response, self.status, {"message": "Something went wrong"})


class Reset(CallFault):
    """The connection is reset: `before` the request was read, or `after` the work was done."""

    kind: Literal["reset"]
    when: Literal["before", "after"] = "before"

    @property
    def carried_out(self) -> bool:
        """If it is reset afterwards."""
        return self.when == "after"

    @property
    def unread(self) -> bool:
        """If it is reset before."""
        return self.when == "before"

    def spoil(self, response: Response) -> Response:
        """Answer nothing."""
        return replace(response, reset=True)


class Truncate(CallFault):
    """Half of the body is sent, then the connection is closed."""

    kind: Literal["truncate"]

    def spoil(self, response: Response) -> Response:
        """Cut the response."""
        return replace(response, truncated=True)


class Drip(CallFault):
    """The body comes byte by byte, one every `ms` milliseconds."""

    kind: Literal["drip"]
    ms: float = Field(default=100, gt=0)

    def spoil(self, response: Response) -> Response:
        """Slow the body down."""
        return replace(response, pause_s=self.ms / 1000)


class ContentType(CallFault):
    """The right body under a wrong `Content-Type`."""

    kind: Literal["content-type"]
    value: str = Field(default="text/html", pattern=r"^[ -~]+$")

    def spoil(self, response: Response) -> Response:
        """Change the header."""
        return replace(response, headers={**response.headers, "Content-Type": self.value})


class Garbage(CallFault):
    """A body that is no JSON, under a status that says that all is well."""

    kind: Literal["garbage"]

    def spoil(self, response: Response) -> Response:
        """Replace the body."""
        return replace(response, status=200, body=b'<html>{"sign in":\xff')


class Shape(CallFault):
    """JSON of another shape than promised, under a status that says that all is well."""

    kind: Literal["shape"]

    def spoil(self, response: Response) -> Response:
        """Replace the body."""
        return _answering(response, 200, {"data": [{"unexpected": True}]})


class Huge(CallFault):
    """The right body behind `mib` MiB of white space."""

    kind: Literal["huge"]
    mib: int = Field(default=32, ge=1, le=1024)

    def spoil(self, response: Response) -> Response:
        """Blow the body up."""
        return replace(response, body=b" " * (self.mib * 1024 * 1024) + response.body)


Fault = Annotated[
    Refuse | Latency | Throttle | Error | Reset | Truncate | Drip | ContentType | Garbage | Shape | Huge,
    Field(discriminator="kind"),
]
_ANY: TypeAdapter[Fault] = TypeAdapter(Fault)


def _answering(response: Response, status: int, document: Any, **headers: str) -> Response:
    """Return the response with another answer in it."""
    return replace(
        response,
        status=status,
        headers={"Content-Type": "application/json", **headers},
        body=json.dumps(document).encode(),
    )


class FaultError(ValueError):
    """A fault is not written as it should be; the message is one line."""


def parse(text: str) -> Fault:
    """Read `SYSTEM:KIND[,option=value]…`. Raises `FaultError`."""
    what, *options = text.split(",")
    system, separator, kind = what.partition(":")
    if not separator or not all("=" in option for option in options):
        raise FaultError(f"{text!r} is not written as SYSTEM:KIND[,option=value]…")
    given = dict(option.split("=", 1) for option in options)
    if len(given) < len(options) or {"system", "kind"} & given.keys():
        raise FaultError(f"{text!r} says something twice")
    try:
        return _ANY.validate_python({**given, "system": system, "kind": kind})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"][1:])) or "kind"
        raise FaultError(f"{text!r}: {where}: {first['msg']}") from None


@dataclass(slots=True)
class _Active:
    fault: Fault
    left: float
    """How many calls it has still to strike."""


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._active: list[_Active] = []

    def switch(self, faults: Iterable[Fault]) -> None:
        """Switch these on, and all others off."""
        self._active = [_Active(fault, getattr(fault, "times", None) or float("inf")) for fault in faults]

    def __iter__(self) -> Iterator[Fault]:
        """Iterate over those that are not over."""
        return (active.fault for active in self._active if active.left > 0)

    def striking(self, system: str, call: str) -> list[CallFault]:
        """Return those that strike a call, given as its method and path, and count it."""
        struck: list[CallFault] = []
        for active in self._active:
            fault = active.fault
            if (
                isinstance(fault, CallFault)
                and active.left > 0
                and fault.system == system.lower()
                and fault.call in call
                and random.random() < fault.rate  # noqa: S311  # no secret
            ):
                active.left -= 1
                struck.append(fault)
        return struck

    def refused(self, system: str) -> bool:
        """Whether nobody is to listen for a system."""
        return any(isinstance(fault, Refuse) and fault.system == system.lower() for fault in self)
