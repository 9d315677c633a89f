"""The engine against graphql-core, in one process: the list of workload B with the records in hand, no network.

    python benchmarks/engine.py

`whole` is an operation from its plan to its data, resolvers included; `projection` is what the compiled functions
do alone. Also: what it takes to compile the operation, and to refuse hostile documents.
"""

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from graphql import execute
from workloads import LIST, TENANT, answers

from peoplegraph.backends.billtrust_disputes import wire
from peoplegraph.backends.billtrust_disputes.graph import shape
from peoplegraph.engine import NO_VARIABLES, Engine
from peoplegraph.engine.plan import Plan
from peoplegraph.engine.runtime import Run
from peoplegraph.graph.paging import connection, window
from peoplegraph.schema import build_schema

HOSTILE = {
    "1 MB of braces": "{" * 1_000_000,
    "800 levels": "{" + 'representative(reference:"a"){supervisor{' * 400 + "name" + "}" * 801,
    "5,000 aliases": "{" + " ".join(f"a{i}:__typename" for i in range(5000)) + "}",
    "fragments doubled 100 times": "{...F0} "
    + " ".join(f"fragment F{i} on Query{{...F{i + 1} ...F{i + 1}}}" for i in range(100))
    + " fragment F100 on Query{__typename}",
}


class Context:
    """A request whose loaders have everything."""

    roster_ahead = True

    def __init__(self, records: list[wire.Assignee]) -> None:
        self._records = records

    def loaders(self, _: type) -> "Context":
        """Return what stands for the loaders."""
        return self

    async def assignees_of(self, _: str | None, *, alone: bool) -> list[wire.Assignee]:  # noqa: ARG002
        """Return all."""
        return self._records


async def milliseconds(work: Callable[[], Awaitable[Any]], times: int) -> float:
    """Return how long one of several runs takes, in the best of seven rounds."""
    best = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(times):
            await work()
        best = min(best, (time.perf_counter() - began) / times)
    return best * 1e3


async def main() -> None:
    """Measure, and print."""
    schema: Any = build_schema()
    engine = Engine(schema)
    operation = engine.documents.get(LIST).operation(None)
    plan = operation.plan(NO_VARIABLES)
    records = wire.assignees(answers()[f"/tenants/{TENANT}/assignees"].encode()).all()
    page = connection(records, window("all", 200, None), shape)
    ((index, complete),) = plan.completers.items()
    run = Run(plan, NO_VARIABLES, Context(records), None)

    async def compiled() -> Any:
        return (await plan.run(NO_VARIABLES, Context(records))).data

    async def interpreted() -> Any:
        result: Any = execute(operation.core, operation.document, context_value=Context(records))
        return (await result).data

    async def projection() -> Any:
        return complete(page, (None, "assignees", "Query"), run)

    async def compiling() -> Any:
        return Plan(operation, NO_VARIABLES)

    assert json.dumps(await compiled()) == json.dumps(await interpreted()), index
    gc.collect()
    gc.freeze()
    core_ms = await milliseconds(interpreted, 5)
    print(f"graphql-core  {core_ms:7.3f} ms")
    for name, work in (("whole", compiled), ("projection", projection)):
        took_ms = await milliseconds(work, 200)
        print(f"{name:13} {took_ms:7.3f} ms   {core_ms / took_ms:4.0f} times")
    print(f"compiling     {await milliseconds(compiling, 20):7.3f} ms")
    for name, text in HOSTILE.items():
        began = time.perf_counter()
        document = engine.documents.get(text)
        took_ms = (time.perf_counter() - began) * 1e3
        print(f"{name}: {took_ms:.1f} ms, {document.errors[0].message[:60]}")


if __name__ == "__main__":
    asyncio.run(main())
