"""Collections' endpoints, one coroutine each, as the vendor's page "Representatives" has them.

The tenant follows from the key, so no path names one. PUTs are safe to retry (the page says so for the
representative, and calls the links idempotent); POST and PATCH are not. Calls are tagged with the reference: what
is kept of a representative and its pages is dropped by every write to it. Error bodies are not printed there:
`backends.answers` reads what it can.
"""

from collections.abc import Mapping
from typing import Any, Literal

from strawberry.utils.str_converters import to_camel_case

from peoplegraph.backends.answers import InputPaths, check
from peoplegraph.backends.base import Client, path
from peoplegraph.backends.billtrust_collections.wire import REQUEST_FIELDS, Sublist
from peoplegraph.systems import System
from peoplegraph.upstream.call import Answer

INPUT_PATHS: InputPaths = {vendor: ("input", to_camel_case(ours)) for ours, vendor in REQUEST_FIELDS.items()}


class CollectionsClient(Client):
    """Calls Collections. Each coroutine returns a success, or raises what the answer means."""

    system = System.COLLECTIONS

    async def get_representative(self, reference: str) -> Answer:
        """GET `/representatives/{reference}`: the representative with its links."""
        return check(*await self._send("GET", path("representatives", reference), tags=[reference]))

    async def get_page(self, reference: str, sublist: Sublist, page: int, limit: int) -> Answer:
        """GET `…/accounts` or `…/documents`: the numbers on page `page`, from 1, of `limit`, at most 100."""
        target = path("representatives", reference, sublist)
        return check(*await self._send("GET", f"{target}?page={page}&limit={limit}", tags=[reference]))

    async def post_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """POST `/representatives/{reference}`: 201, or 409 if the reference exists."""
        return await self._write("POST", reference, body)

    async def put_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """PUT `/representatives/{reference}`: 201 on create, 200 on replace; what is left out is reset."""
        return await self._write("PUT", reference, body)

    async def patch_representative(self, reference: str, body: Mapping[str, Any]) -> Answer:
        """PATCH `/representatives/{reference}`: changes what the body names; returns the representative."""
        return await self._write("PATCH", reference, body)

    async def put_link(self, reference: str, sublist: Sublist, number: str) -> Answer:
        """PUT `…/accounts/{account_number}` or `…/documents/{document_number}`: 200, also if linked already."""
        target = path("representatives", reference, sublist, number)
        return check(*await self._send("PUT", target, safe_to_retry=True, tags=[reference]))

    async def _write(
        self, method: Literal["POST", "PUT", "PATCH"], reference: str, body: Mapping[str, Any]
    ) -> Answer:
        call, answer = await self._send(
            method,
            path("representatives", reference),
            body=dict(body),
            safe_to_retry=method == "PUT",
            tags=[reference],
        )
        return check(call, answer, input_paths=INPUT_PATHS)
