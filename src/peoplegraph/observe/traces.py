"""Traces: a span for each operation, and one for each upstream call in it, by OpenTelemetry's own conventions.

No span is made for a field: there are thousands of them, and they take no time. What is sent where, and how much of
it, is the business of OpenTelemetry's SDK, and of its `OTEL_…` variables.
"""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from peoplegraph.engine import Operation
from peoplegraph.observe.names import MAX_NAME
from peoplegraph.systems import System
from peoplegraph.upstream.call import Call
from peoplegraph.upstream.trail import Step, Trail

_propagator = TraceContextTextMapPropagator()


def export() -> TracerProvider:
    """Send spans to a collector, from now on; return what must be shut down for the last of them to arrive."""
    named = Resource({SERVICE_NAME: "peoplegraph", SERVICE_VERSION: version("peoplegraph")})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


class Traces:
    """Makes the spans of operations; `traceparent` is sent to those systems that are `told`."""

    def __init__(self, told: Collection[System]) -> None:
        self._tracer = trace.get_tracer("peoplegraph", version("peoplegraph"))
        self._told = frozenset(told)

    def begin(self, operation: Operation, headers: Mapping[str, str]) -> "OperationSpan":
        """Begin the span of an operation, in the trace that its request came with."""
        given = operation.name and operation.name[:MAX_NAME]
        name = f"{operation.type} {given}" if given else operation.type
        attributes = {"graphql.operation.type": operation.type, "graphql.document.hash": operation.digest}
        if given:
            attributes["graphql.operation.name"] = given
        span = self._tracer.start_span(
            name, _propagator.extract(headers), kind=SpanKind.SERVER, attributes=attributes
        )
        return OperationSpan(span, self._tracer, self._told)


class OperationSpan:
    """The span of an operation, in which those of its calls are."""

    def __init__(self, span: Span, tracer: trace.Tracer, told: Collection[System]) -> None:
        self._span = span
        self._tracer = tracer
        self._told = told
        self._context = trace.set_span_in_context(span)

    def begin_call(self, call: Call) -> "CallSpan":
        """Begin the span of a call, of one attempt."""
        attributes = {
            "http.request.method": call.method,
            "url.template": call.path,
            "peer.service": call.system.title,
        }
        span = self._tracer.start_span(
            f"{call.method} {call.path}", self._context, kind=SpanKind.CLIENT, attributes=attributes
        )
        carrier: dict[str, str] = {}
        if call.system in self._told:
            _propagator.inject(carrier, trace.set_span_in_context(span))
        return CallSpan(span, carrier)

    def end(self, trail: Trail, codes: Collection[str]) -> None:
        """End it; the codes are those of the operation's errors."""
        made, saved = trail.counts()
        self._span.set_attributes({"peoplegraph.calls": made, "peoplegraph.calls.saved": saved})
        if codes:
            self._span.set_attribute("error.type", min(codes))
            self._span.set_status(Status(StatusCode.ERROR, ", ".join(sorted(codes))))
        self._span.end()


class CallSpan:
    """The span of a call; `headers` are those that go with it."""

    def __init__(self, span: Span, headers: Mapping[str, str]) -> None:
        self._span = span
        self.headers = headers

    def end(self, step: Step) -> None:
        """End it, with what came of the call."""
        attributes: dict[str, Any] = {"http.response.body.size": step.bytes}
        if step.outcome.isdigit():
            attributes["http.response.status_code"] = int(step.outcome)
        if not step.outcome.isdigit() or int(step.outcome) >= 400:
            attributes["error.type"] = step.outcome
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.set_attributes(attributes)
        self._span.end()
