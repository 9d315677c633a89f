"""RPM: the reps of agencies.

Follows the vendor's pages "API RepEdit", "Rep", "RepAdd" and "AgentUsers"; where they are silent or disagree,
`wire` and `client` say what is assumed.
"""

from peoplegraph.backends.base import Backend
from peoplegraph.backends.rpm.client import RpmClient
from peoplegraph.backends.rpm.graph import Query, Rep, rep_node
from peoplegraph.backends.rpm.loaders import RpmLoaders, check
from peoplegraph.backends.rpm.mutations import Mutation
from peoplegraph.graph.cost import BY_EMAIL, Calls
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
    nodes={Rep: rep_node},
    calls={
        "Query.reps": Calls(per="repIds", items="repIds", once={"users of RPM": 1}),
        "Rep.counterparts": BY_EMAIL,
        "Mutation.updateRep": Calls(2),
    },
)
