"""Billtrust Disputes: assignees, and the departments that they work in.

Follows the vendor's page "Dispute Assignees"; where it is silent, `wire` and `client` say what is assumed.
"""

from peoplegraph.backends.base import Backend
from peoplegraph.backends.billtrust_disputes.graph import Assignee, Query, assignee_by_email, assignee_node
from peoplegraph.backends.billtrust_disputes.loaders import DisputesLoaders, check
from peoplegraph.backends.billtrust_disputes.mutations import Mutation
from peoplegraph.systems import System

DISPUTES = Backend(
    system=System.DISPUTES,
    credential_headers=("X-Billtrust-Api-Key", "X-Billtrust-Auth"),
    loaders=DisputesLoaders,
    connect=DisputesLoaders,
    check=check,
    query=Query,
    mutation=Mutation,
    nodes={Assignee: assignee_node},
    by_email=assignee_by_email,
)
