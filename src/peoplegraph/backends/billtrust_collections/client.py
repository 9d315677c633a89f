"""Collections' endpoints, one coroutine each, as the vendor's page "Representatives" has them.

The tenant follows from the key, so no path names one. PUTs are safe to retry (the page says so for the
representative, and calls the links idempotent); POST and PATCH are not. Calls are tagged with the reference: what
is kept of a representative and its pages is dropped by every write to it. Error bodies are not printed there:
`backends.answers` reads what it can.
"""

from collections.abc import Mapping
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from peoplegraph.backends.answers import InputPaths, check
from peoplegraph.backends.base import Client
from peoplegraph.backends.billtrust_collections.wire import REQUEST_FIELDS, Sublist
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer, Endpoint

GET_REPRESENTATIVE = Endpoint(System.COLLECTIONS, "GET", "/representatives/{reference}")
POST_REPRESENTATIVE = Endpoint(System.COLLECTIONS, "POST", "/representatives/{reference}")
PUT_REPRESENTATIVE = Endpoint(System.COLLECTIONS, "PUT", "/representatives/{reference}")
PATCH_REPRESENTATIVE = Endpoint(System.COLLECTIONS, "PATCH", "/representatives/{reference}")
GET_PAGE: Mapping[Sublist, Endpoint] = {
    Sublist.ACCOUNTS: Endpoint(System.COLLECTIONS, "GET", "/representatives/{reference}/accounts"),
    Sublist.DOCUMENTS: Endpoint(System.COLLECTIONS, "GET", "/representatives/{reference}/documents"),
}
PUT_LINK: Mapping[Sublist, Endpoint] = {
    Sublist.ACCOUNTS: Endpoint(System.COLLECTIONS, "PUT", "/representatives/{reference}/accounts/{account_number}"),
    Sublist.DOCUMENTS: Endpoint(
        System.COLLECTIONS, "PUT", "/representatives/{reference}/documents/{document_number}"
    ),
}

INPUT_PATHS: InputPaths = {vendor: ("input", to_camel_case(ours)) for ours, vendor in REQUEST_FIELDS.items()}


class CollectionsClient(Client):
    """Calls Collections. Each coroutine returns a success, or raises what the answer means."""

    system = System.COLLECTIONS

    async def get_representative(self, reference: str) -> Answer:
        """GET `/representatives/{reference}`: the representative with its links."""
        return check(*await self._send(GET_REPRESENTATIVE, reference, tags=[reference]))

    async def get_page(self, reference: str, sublist: Sublist, page: int, limit: int) -> Answer:
        """GET `…/accounts` or `…/documents`: the numbers on page `page`, from 1, of `limit`, at most 100."""
        query = f"?page={page}&limit={limit}"
        return check(*await self._send(GET_PAGE[sublist], reference, query=query, tags=[reference]))

    async def post_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """POST `/representatives/{reference}`: 201, or 409 if the reference exists."""
        return await self._write(POST_REPRESENTATIVE, reference, body)

    async def put_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """PUT `/representatives/{reference}`: 201 on create, 200 on replace; what is left out is reset."""
        return await self._write(PUT_REPRESENTATIVE, reference, body)

    async def patch_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """PATCH `/representatives/{reference}`: changes what the body names; returns the representative."""
        return await self._write(PATCH_REPRESENTATIVE, reference, body)

    async def put_link(self, reference: str, sublist: Sublist, number: str) -> Answer:
        """PUT `…/accounts/{account_number}` or `…/documents/{document_number}`: 200, also if linked already."""
        keys = (reference, number)
        return check(*await self._send(PUT_LINK[sublist], *keys, safe_to_retry=True, tags=[reference]))

    async def _write(self, endpoint: Endpoint, reference: str, body: Mapping[str, Any]) -> Answer:
        call, answer = await self._send(
            endpoint, reference, body=dict(body), safe_to_retry=endpoint.method == "PUT", tags=[reference]
        )
        return check(call, answer, input_paths=INPUT_PATHS)
