"""The schema: the roots of all backends joined, with `node` and `nodes` over their types; and as a subgraph."""

from functools import cache
from typing import Annotated, Any, Union

import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types

from peoplegraph.backends import BACKENDS
from peoplegraph.backends.batching import settle
from peoplegraph.context import Info
from peoplegraph.errors import BadInput
from peoplegraph.graph.cost import NO_CALLS, Calls, CallTable
from peoplegraph.graph.federation import (
    ANY,
    MAX_REPRESENTATIONS,
    Representation,
    check_representations,
    fields_of,
    subgraph_sdl,
)
from peoplegraph.graph.node import Node, decode_id
from peoplegraph.graph.paging import check_keys
from peoplegraph.graph.scalars import SCALARS
from peoplegraph.graph.user_errors import USER_ERRORS
from peoplegraph.upstream.call import Endpoint

_NODES = {kind.__name__: (node.load, backend.reads) for backend in BACKENDS for kind, node in backend.nodes.items()}

_ENTITIES = {
    kind.__name__: (entity, backend.reads) for backend in BACKENDS for kind, entity in backend.entities.items()
}


@cache
def call_table() -> CallTable:
    """Return what is known of the calls of all fields; `counterparts` is looked at on each type of person."""
    nodes = [node for backend in BACKENDS for node in backend.nodes.values()]
    one = [tuple(node.endpoint for node in nodes)]
    fields = {
        "Query.node": Calls(one),
        "Query.nodes": Calls(one, per="ids", items="ids", shared=[node.shared for node in nodes if node.shared]),
        "Query._entities": _entity_calls(),
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


def _entity_calls() -> Calls:
    calls = [entity.calls for entity, _ in _ENTITIES.values()]
    return Calls(
        [tuple(endpoint for each in calls for endpoint in each.each if isinstance(endpoint, Endpoint))],
        per="representations",
        counts=_has_own_call,
        most=MAX_REPRESENTATIONS,
        items="representations",
        shared=[name for each in calls for name in each.shared],
    )


def _has_own_call(representation: object) -> bool:
    """Whether what is referred to takes a call of its own, and not one that is shared, or none."""
    type_name = representation.get("__typename") if isinstance(representation, dict) else None
    return isinstance(type_name, str) and type_name in _ENTITIES and bool(_ENTITIES[type_name][0].calls.each)


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


@strawberry.type(name="_Service", description="This subgraph.")
class Service:
    """What routers' tools ask for when they compose."""

    @strawberry.field(description="Its schema, as `peoplegraph schema --federation` prints it.")
    def sdl(self) -> str:
        return print_subgraph()


_Entity: Any = Annotated[
    Union[tuple(kind for backend in BACKENDS for kind in backend.entities)],  # noqa: UP007  # it is made of a tuple
    strawberry.union("_Entity", description="What other subgraphs may refer to, and extend."),
]


@strawberry.type
class FederationQuery:
    """The root fields that routers ask for."""

    @strawberry.field(name="_service", description="This subgraph's schema. Needs what introspection needs.")
    def service(self) -> Service:
        return Service()

    @strawberry.field(
        name="_entities",
        graphql_type=list[_Entity | None],
        description="The records that others refer to, in the order asked for, null where there is none any more; "
        f"at most {MAX_REPRESENTATIONS:,}. Each needs the scope that its type needs.",
    )
    async def entities(
        self,
        info: Info,
        representations: Annotated[
            list[Representation],
            strawberry.argument(
                description="The `__typename` and the key of each; what else they have is ignored."
            ),
        ],
    ) -> list[Any]:
        info.context.representations += len(representations)
        check_representations(info.context.representations)
        return await settle(_load_entity(info, each) for each in representations)


async def _load_entity(info: Info, representation: object) -> object:
    type_name, fields = fields_of(representation)
    if type_name not in _ENTITIES:
        raise BadInput(f"{type_name[:100]!r} is no type that this subgraph has a key of")
    entity, scope = _ENTITIES[type_name]
    key = entity.key.read(type_name, fields)
    info.context.require(scope)
    return await entity.load(info, key)


@cache
def build_schema() -> strawberry.Schema:
    """Join the backends' roots, once in a process."""
    return _joined(NodeQuery, *(backend.query for backend in BACKENDS))


@cache
def build_federated() -> strawberry.Schema:
    """Join them with what routers ask for, once in a process."""
    return _joined(NodeQuery, *(backend.query for backend in BACKENDS), FederationQuery)


def _joined(*queries: type) -> strawberry.Schema:
    query = merge_types("Query", queries)
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
        config=StrawberryConfig(scalar_map={**SCALARS, **ANY}),
    )


def print_schema() -> str:
    """Return the schema in GraphQL's own language, as `schema.graphql` has it."""
    return build_schema().as_str() + "\n"


@cache
def print_subgraph() -> str:
    """Return the schema as routers' tools compose it with others."""
    return subgraph_sdl(print_schema(), {name: entity.key for name, (entity, _) in _ENTITIES.items()})
