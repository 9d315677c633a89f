"""GraphQL over server-sent events: an operation's result as one event, its end as another."""

import json

import httpx

from tests.web.sockets import ANSWER, QUERY, Serve


async def test_events(serve: Serve) -> None:
    """Who accepts `text/event-stream` gets the result as an event, and the end as another."""
    async with serve() as url, httpx.AsyncClient() as client:
        at = url.replace("ws://", "http://")
        reply = await client.post(at, json={"query": QUERY}, headers={"accept": "text/event-stream"})
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        event, complete, end = reply.text.split("\n\n")
        assert event.startswith("event: next\ndata: ")
        assert json.loads(event.removeprefix("event: next\ndata: ")) == ANSWER
        assert (complete, end) == ("event: complete\ndata:", "")
        reply = await client.post(at, json={"query": "{ nope }"}, headers={"accept": "text/event-stream"})
        assert "GRAPHQL_VALIDATION_FAILED" in reply.text
        for headers in ({"content-type": "text/plain"}, {"content-type": "application/json", "x-deadline-ms": "x"}):
            refused = await client.post(
                at, content=json.dumps({"query": QUERY}), headers={"accept": "text/event-stream", **headers}
            )
            assert refused.status_code == 400
            assert refused.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
        both = await client.post(
            at, json={"query": QUERY}, headers={"accept": "application/json, text/event-stream;q=0.5"}
        )
        assert both.json() == ANSWER
