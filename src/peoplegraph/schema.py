"""The schema: the roots of all backends joined, with `node` and `nodes` over their types."""

from functools import cache
from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from peoplegraph.backends import BACKENDS
from peoplegraph.backends.batching import settle
from peoplegraph.context import Info
from peoplegraph.errors import BadInput
from peoplegraph.graph.cost import NO_CALLS, Calls, CallTable
from peoplegraph.graph.node import Node, decode_id
from peoplegraph.graph.paging import check_keys
from peoplegraph.graph.scalars import SCALARS
from peoplegraph.graph.user_errors import USER_ERRORS

_NODES = {kind.__name__: (node.load, backend.reads) for backend in BACKENDS for kind, node in backend.nodes.items()}


def call_table() -> CallTable:
    """Return what is known of the calls of all fields; `counterparts` is looked at on each type of person."""
    nodes = [node for backend in BACKENDS for node in backend.nodes.values()]
    one = [tuple(node.endpoint for node in nodes)]
    fields = {
        "Query.node": Calls(one),
        "Query.nodes": Calls(one, per="ids", items="ids", shared=[node.shared for node in nodes if node.shared]),
        "Person.counterparts": NO_CALLS,
    }
    for backend in BACKENDS:
        searches = [other.by_email.calls for other in BACKENDS if other is not backend and other.by_email]
        counterparts = Calls(
            [call for calls in searches for call in calls.each],
            shared=[name for s in searches for name in s.shared],
        )
        fields |= {f"{kind.__name__}.counterparts": counterparts for kind in backend.nodes}
        fields |= backend.calls
    return CallTable(fields, {name: calls for backend in BACKENDS for name, calls in backend.shared.items()})


@strawberry.type
class NodeQuery:
    """The root fields that reach every backend."""

    @strawberry.field(
        description="The record with a global id, whichever system it is in; null if there is none any more. "
        "Needs the scope that its type needs."
    )
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The global id.")]
    ) -> Node | None:
        return await _load(info, id)

    @strawberry.field(
        description="The records with these global ids, in the order asked for, null where there is none any "
        "more; at most 100. Each needs the scope that its type needs."
    )
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="The global ids.")],
    ) -> list[Node | None]:
        check_keys("ids", ids)
        return await settle(_load(info, id) for id in ids)


async def _load(info: Info, global_id: str) -> Node | None:
    type_name, key = decode_id(global_id)
    if type_name not in _NODES:
        raise BadInput(f"{global_id[:100]!r} is not an id that this schema gives out")
    load, scope = _NODES[type_name]
    info.context.require(scope)
    return await load(info, key)


@cache
def build_schema() -> strawberry.Schema:
    """Join the backends' roots, once in a process."""
    query = merge_types("Query", (NodeQuery, *(backend.query for backend in BACKENDS)))
    mutation = merge_types("Mutation", tuple(b.mutation for b in BACKENDS if b.mutation))
    query.__strawberry_definition__.description = "What can be read."  # type: ignore[attr-defined]
    mutation.__strawberry_definition__.description = (  # type: ignore[attr-defined]
        "What can be written. create makes a new record; replace is the vendor's own call, and resets what is "
        "left out; update changes only what the input names; delete and link do what they say, and repeating "
        "them does no harm. A refusal is data in `errors`; a failure is a GraphQL error."
    )
    types = [kind for backend in BACKENDS for kind in backend.nodes]
    return strawberry.Schema(
        query=query,
        mutation=mutation,
        types=[*types, *USER_ERRORS],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def print_schema() -> str:
    """Return the schema in GraphQL's own language, as `schema.graphql` has it."""
    return build_schema().as_str() + "\n"
