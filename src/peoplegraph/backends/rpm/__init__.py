"""RPM: the reps of agencies.

Follows the vendor's pages "API RepEdit", "Rep", "RepAdd" and "AgentUsers"; where they are silent or disagree,
`wire` and `client` say what is assumed.
"""

from peoplegraph.backends.base import Backend, Entity, Refetch
from peoplegraph.backends.rpm.client import AGENT_USERS, REP, REP_ADD, REP_EDIT, RpmClient
from peoplegraph.backends.rpm.graph import Query, Rep, rep_entity, rep_node
from peoplegraph.backends.rpm.loaders import RpmLoaders, check
from peoplegraph.backends.rpm.mutations import Mutation
from peoplegraph.graph.cost import Calls, Shared
from peoplegraph.graph.federation import Key
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

RPM = Backend(
    system=System.RPM,
    credential_headers=("RpmApiKey",),
    loaders=RpmLoaders,
    connect=lambda context: RpmLoaders(RpmClient(context.session(System.RPM))),
    reads=Scope.REPS_READ,
    check=check,
    query=Query,
    mutation=Mutation,
    nodes={Rep: Refetch(rep_node, REP, "users of RPM")},
    entities={Rep: Entity(Key("repId", int), rep_entity, Calls([REP], shared=["users of RPM"]))},
    calls={
        "Query.rep": Calls([REP]),
        "Query.reps": Calls([REP], per="repIds", items="repIds", shared=["users of RPM"]),
        "Mutation.createRep": Calls([REP_ADD]),
        "Mutation.replaceRep": Calls([REP_EDIT]),
        "Mutation.updateRep": Calls([REP, REP_EDIT]),
        "RepPayload.rep": Calls([REP]),
    },
    shared={
        "users of RPM": Shared(
            [AGENT_USERS], "once for the operation: in place of all others where it tells enough"
        ),
    },
)
