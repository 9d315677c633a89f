"""Billtrust Disputes: assignees, and the departments that they work in.

Follows the vendor's page "Dispute Assignees"; where it is silent, `wire` and `client` say what is assumed.
"""

from dataclasses import replace

from peoplegraph.backends.base import Backend, Entity, Refetch, Search
from peoplegraph.backends.billtrust_disputes.client import (
    DELETE_ASSIGNEE,
    DELETE_ASSIGNEE_BY_EMAIL,
    GET_ASSIGNEE,
    GET_ASSIGNEE_BY_EMAIL,
    GET_ASSIGNEES,
    GET_CURRENT_ASSIGNEE,
    GET_DEPARTMENTS,
    POST_ASSIGNEE,
    PUT_ASSIGNEE,
    PUT_ASSIGNEE_BY_EMAIL,
    DisputesClient,
)
from peoplegraph.backends.billtrust_disputes.graph import (
    Assignee,
    Department,
    Query,
    assignee_by_email,
    assignee_node,
    load_department,
)
from peoplegraph.backends.billtrust_disputes.loaders import LIST_FROM, DisputesLoaders, check
from peoplegraph.backends.billtrust_disputes.mutations import Mutation
from peoplegraph.graph.cost import BY_EMAIL, Calls, Shared
from peoplegraph.graph.federation import Key
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

DEPARTMENTS = Calls(shared=["departments"])

_GET = (GET_ASSIGNEE, GET_ASSIGNEE_BY_EMAIL)
_PUT = (PUT_ASSIGNEE, PUT_ASSIGNEE_BY_EMAIL)

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
    nodes={Assignee: Refetch(assignee_node, GET_ASSIGNEE, "look-ups of assignees")},
    entities={
        Assignee: Entity(Key("assigneeId"), assignee_node, BY_EMAIL),
        Department: Entity(Key("departmentId"), load_department, DEPARTMENTS),
    },
    calls={
        "Query.assignee": BY_EMAIL,
        "Query.assignees": BY_EMAIL,
        "Department.assignees": BY_EMAIL,
        "Department.defaultAssignee": BY_EMAIL,
        "Query.department": DEPARTMENTS,
        "Query.departments": replace(DEPARTMENTS, items=100),
        "Assignee.department": DEPARTMENTS,
        "Query.currentAssignee": Calls([GET_CURRENT_ASSIGNEE]),
        "Mutation.createAssignee": Calls([POST_ASSIGNEE]),
        "Mutation.replaceAssignee": Calls([_PUT]),
        "Mutation.updateAssignee": Calls([_GET, _PUT]),
        "Mutation.deleteAssignee": Calls([(DELETE_ASSIGNEE, DELETE_ASSIGNEE_BY_EMAIL)]),
        # what an answer does not say is read again, and who was created may have to be found
        "AssigneePayload.assignee": Calls([(*_GET, GET_ASSIGNEES), GET_DEPARTMENTS]),
    },
    shared={
        "look-ups of assignees": Shared(
            [_GET] * (LIST_FROM - 1) + [GET_ASSIGNEES],
            "once for the operation: single calls for the first three people, the list of all from the fourth on",
        ),
        "departments": Shared([GET_DEPARTMENTS], "once for the operation: the list has all of them"),
    },
    by_email=Search(assignee_by_email, BY_EMAIL),
)
