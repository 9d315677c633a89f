"""Billtrust Collections: representatives, and the accounts and documents they are linked to.

Follows the vendor's page "Representatives"; where it is silent, `wire` and `client` say what is assumed.
"""

from peoplegraph.backends.base import Backend
from peoplegraph.backends.billtrust_collections.client import CollectionsClient
from peoplegraph.backends.billtrust_collections.graph import Query, Representative, representative_node
from peoplegraph.backends.billtrust_collections.loaders import CollectionsLoaders, check
from peoplegraph.backends.billtrust_collections.mutations import Mutation
from peoplegraph.graph.cost import BY_EMAIL, NO_CALLS, Calls
from peoplegraph.scopes import Scope
from peoplegraph.systems import System

COLLECTIONS = Backend(
    system=System.COLLECTIONS,
    credential_headers=("X-API-Key",),
    loaders=CollectionsLoaders,
    connect=lambda context: CollectionsLoaders(CollectionsClient(context.session(System.COLLECTIONS))),
    reads=Scope.REPRESENTATIVES_READ,
    check=check,
    query=Query,
    mutation=Mutation,
    nodes={Representative: representative_node},
    calls={
        "Query.representatives": Calls(per="references", items="references"),
        "Representative.accounts": Calls(pages=True),
        "Representative.documents": Calls(pages=True),
        "Representative.assignee": BY_EMAIL,
        "Representative.counterparts": BY_EMAIL,
        "PageInfo.hasNextPage": NO_CALLS,  # the pages above have one more for it
        "Mutation.linkRepresentativeAccounts": Calls(per="accountNumbers"),
        "Mutation.linkRepresentativeDocuments": Calls(per="documentNumbers"),
    },
)
