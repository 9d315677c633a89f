"""Billtrust Collections: representatives, and the accounts and documents they are linked to.

Follows the vendor's page "Representatives"; where it is silent, `wire` and `client` say what is assumed.
"""

from peoplegraph.backends.base import Backend, Entity, Refetch
from peoplegraph.backends.billtrust_collections.client import (
    GET_PAGE,
    GET_REPRESENTATIVE,
    PATCH_REPRESENTATIVE,
    POST_REPRESENTATIVE,
    PUT_LINK,
    PUT_REPRESENTATIVE,
    CollectionsClient,
)
from peoplegraph.backends.billtrust_collections.graph import (
    Account,
    Document,
    Query,
    Representative,
    account_entity,
    document_entity,
    representative_node,
)
from peoplegraph.backends.billtrust_collections.loaders import CollectionsLoaders, check
from peoplegraph.backends.billtrust_collections.mutations import Mutation
from peoplegraph.backends.billtrust_collections.wire import Sublist
from peoplegraph.graph.cost import BY_EMAIL, NO_CALLS, Calls
from peoplegraph.graph.federation import Key
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
    nodes={Representative: Refetch(representative_node, GET_REPRESENTATIVE)},
    entities={
        Representative: Entity(Key("reference"), representative_node, Calls([GET_REPRESENTATIVE])),
        Account: Entity(Key("number"), account_entity),
        Document: Entity(Key("number"), document_entity),
    },
    calls={
        "Query.representative": Calls([GET_REPRESENTATIVE]),
        "Query.representatives": Calls([GET_REPRESENTATIVE], per="references", items="references"),
        "Representative.supervisor": Calls([GET_REPRESENTATIVE]),
        "Representative.accounts": Calls([GET_PAGE[Sublist.ACCOUNTS]], pages=True),
        "Representative.documents": Calls([GET_PAGE[Sublist.DOCUMENTS]], pages=True),
        "Representative.assignee": BY_EMAIL,
        "PageInfo.hasNextPage": NO_CALLS,  # the pages above have one more for it
        "Mutation.createRepresentative": Calls([POST_REPRESENTATIVE]),
        "Mutation.replaceRepresentative": Calls([PUT_REPRESENTATIVE]),
        "Mutation.updateRepresentative": Calls([PATCH_REPRESENTATIVE]),
        "Mutation.linkRepresentativeAccounts": Calls([PUT_LINK[Sublist.ACCOUNTS]], per="accountNumbers"),
        "Mutation.linkRepresentativeDocuments": Calls([PUT_LINK[Sublist.DOCUMENTS]], per="documentNumbers"),
        "RepresentativePayload.representative": Calls([GET_REPRESENTATIVE]),
        "LinkPayload.representative": Calls([GET_REPRESENTATIVE]),
    },
)
