"""Traces: a span for each operation and each call, in the trace that a request came with."""

from collections.abc import Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from peoplegraph.sandbox.faults import parse
from tests.conftest import MakeGateway

JOINS = """query Joins {
  representative(reference: "REP-021") { name supervisor { name } assignee { email } }
  rep(by: { repId: 1011 }) { name }
}"""
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """Export spans to memory; OpenTelemetry takes one provider in a process."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> InMemorySpanExporter:
    """Forget the spans of the test before."""
    exporter.clear()
    return exporter


def of_calls(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    """Return the spans of calls, in order of their names."""
    return sorted((s for s in spans.get_finished_spans() if s.kind is SpanKind.CLIENT), key=lambda s: s.name)


def operation(spans: InMemorySpanExporter) -> ReadableSpan:
    """Return the span of the only operation."""
    (span,) = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    return span


def attributes(span: ReadableSpan, *names: str) -> Sequence[object]:
    """Return attributes of a span."""
    return [(span.attributes or {}).get(name) for name in names]


async def test_an_operation_and_its_calls(spans: InMemorySpanExporter, gateway_with: MakeGateway) -> None:
    """An operation's span is in the trace that its request came with, around those of its calls, and no other."""
    gateway = await gateway_with(traces=True)
    await gateway.ask(JOINS, TRACEPARENT)
    whole, calls = operation(spans), of_calls(spans)
    assert whole.name == "query Joins"
    assert whole.parent is not None
    assert (f"{whole.context.trace_id:032x}", f"{whole.parent.span_id:016x}") == (TRACE, PARENT)
    assert attributes(whole, "graphql.operation.name", "peoplegraph.calls") == ["Joins", 4]
    assert [call.name for call in calls] == [
        "GET /assignees/by-email/{assigneeEmail}",
        "GET /representatives/{reference}",
        "GET /representatives/{reference}",
        "POST /Rep",
    ]
    for call in calls:
        assert call.parent is not None
        assert call.parent.span_id == whole.context.span_id
        assert attributes(call, "http.response.status_code") == [200]
        assert whole.start_time <= call.start_time <= call.end_time <= whole.end_time  # type: ignore[operator]
    assert attributes(calls[-1], "peer.service", "url.template") == ["RPM", "/Rep"]
    assert len(spans.get_finished_spans()) == 5


async def test_nothing_personal_is_in_a_span(spans: InMemorySpanExporter, gateway_with: MakeGateway) -> None:
    """Neither the document nor a key of a record nor what came back."""
    gateway = await gateway_with(traces=True)
    await gateway.ask(JOINS)
    text = "".join(span.to_json() for span in spans.get_finished_spans())
    for personal in ("REP-021", "Radia", "@", "displayName"):
        assert personal not in text


async def test_failures_are_marked(spans: InMemorySpanExporter, gateway_with: MakeGateway) -> None:
    """Each attempt is a span with what came of it; the operation has the code of its error."""
    gateway = await gateway_with(traces=True)
    await gateway.sandbox.switch([parse("rpm:error,status=503,times=1"), parse("disputes:reset")])
    await gateway.ask(JOINS)
    assert operation(spans).status.status_code is StatusCode.ERROR
    assert attributes(operation(spans), "error.type") == ["UPSTREAM_UNAVAILABLE"]
    of_rpm = [call for call in of_calls(spans) if call.name == "POST /Rep"]
    assert [attributes(call, "http.response.status_code", "error.type") for call in of_rpm] == [
        [503, "503"],
        [200, None],
    ]
    of_disputes = [call for call in of_calls(spans) if "assignees" in call.name]
    assert {attributes(call, "error.type")[0] for call in of_disputes} == {"UPSTREAM_UNAVAILABLE"}


async def test_a_system_is_told_where_a_setting_allows(
    spans: InMemorySpanExporter, gateway_with: MakeGateway
) -> None:
    """`traceparent` goes to no system but those that are named, and is the call's own."""
    gateway = await gateway_with(traces=True, rpm={"traceparent": True})
    await gateway.ask(JOINS, TRACEPARENT)
    sent = {call.system: call.headers.get("traceparent") for call in gateway.recorded}
    assert [system for system, header in sent.items() if header is not None] == ["RPM"]
    span = of_calls(spans)[-1]
    assert sent["RPM"] == f"00-{TRACE}-{span.context.span_id:016x}-01"


async def test_without_the_setting_there_is_none(spans: InMemorySpanExporter, gateway_with: MakeGateway) -> None:
    """Whatever provider there is."""
    gateway = await gateway_with(rpm={"traceparent": True})
    await gateway.ask(JOINS, TRACEPARENT)
    assert spans.get_finished_spans() == ()
    assert all("traceparent" not in call.headers for call in gateway.recorded)


async def test_a_mutation_has_a_span(spans: InMemorySpanExporter, gateway_with: MakeGateway) -> None:
    """With its calls, in the order in which they were made; one without a name is called by its type."""
    gateway = await gateway_with(traces=True)
    await gateway.ask('mutation { updateRep(repId: 1011, input: { title: "X" }) { errors { message } } }')
    assert operation(spans).name == "mutation"
    assert [span.name for span in spans.get_finished_spans()] == ["POST /Rep", "POST /RepEdit", "mutation"]
