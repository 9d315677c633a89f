"""Billtrust Disputes: assignees, and the departments that they work in.

Follows the vendor's page "Dispute Assignees"; where it is silent, `wire` and `client` say what is assumed.
"""

from dataclasses import replace

from peoplegraph.backends.base import Backend
from peoplegraph.backends.billtrust_disputes.client import DisputesClient
from peoplegraph.backends.billtrust_disputes.graph import Assignee, Query, assignee_by_email, assignee_node
from peoplegraph.backends.billtrust_disputes.loaders import DisputesLoaders, check
from peoplegraph.backends.billtrust_disputes.mutations import Mutation
from peoplegraph.graph.cost import BY_EMAIL, NO_CALLS, Calls
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

DEPARTMENTS = Calls(0, once={"departments": 1})

DISPUTES = Backend(
    system=System.DISPUTES,
    credential_headers=("X-Billtrust-Api-Key", "X-Billtrust-Auth"),
    loaders=DisputesLoaders,
    connect=lambda context: DisputesLoaders(
        DisputesClient(context.session(System.DISPUTES), context.settings.disputes.tenant_id)
    ),
    reads=Scope.ASSIGNEES_READ,
    check=check,
    query=Query,
    mutation=Mutation,
    nodes={Assignee: assignee_node},
    calls={
        "Query.assignee": BY_EMAIL,
        "Query.assignees": BY_EMAIL,
        "Department.assignees": BY_EMAIL,
        "Department.defaultAssignee": BY_EMAIL,
        "Query.department": DEPARTMENTS,
        "Query.departments": replace(DEPARTMENTS, items=100),
        "Assignee.department": DEPARTMENTS,
        "Assignee.counterparts": NO_CALLS,
        "Mutation.createAssignee": Calls(2),
        "Mutation.replaceAssignee": Calls(2),
        "Mutation.updateAssignee": Calls(3),
    },
    by_email=assignee_by_email,
)
