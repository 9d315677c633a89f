"""Documents by their text: parsed, checked and validated once, and kept with the plans that are made of them."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse, specified_rules
from strawberry.schema.schema import validate_document

from peoplegraph.engine.limits import Limits, check
from peoplegraph.engine.plan import Operation

MAX_DOCUMENTS = 1_000
MAX_BYTES = 128 * 1024 * 1024
"""What the documents that are kept may take together, roughly."""

BYTES_A_CHARACTER = 500
"""What a document takes for each of its characters, roughly, with a plan or two."""


class Document:
    """What came of a document's text: its operations by name, or the errors that it has."""

    def __init__(self, schema: strawberry.Schema, text: str, limits: Limits) -> None:
        self.errors: list[GraphQLError] = []
        self.limit: str | None = None
        """The limit that the document passes, if it does."""
        self.operations: Mapping[str | None, Operation] = {}
        try:
            document = parse(text, max_tokens=limits.tokens, max_source_length=limits.characters)
        except GraphQLError as error:
            self.errors = [_bare(error)]
            if len(text) > limits.characters:
                self.limit = "characters"
            elif "tokens" in error.message:
                self.limit = "tokens"
            return
        too_large = check(document, limits)
        if too_large:
            self.limit = too_large[0][0]
        self.errors = [_bare(error) for _, error in too_large] or [_bare(e) for e in _validated(schema, document)]
        if not self.errors:
            digest = hashlib.sha256(text.encode()).hexdigest()
            operations = (
                Operation(schema, document, definition, digest)
                for definition in document.definitions
                if isinstance(definition, OperationDefinitionNode)
            )
            self.operations = {operation.name: operation for operation in operations}

    def operation(self, name: str | None) -> Operation:
        """Return the operation that is named, or the only one; raises `GraphQLError` as graphql-core does."""
        if name is not None:
            found = self.operations.get(name)
            if found is None:
                raise GraphQLError(f"Unknown operation named '{name}'.")
            return found
        if len(self.operations) != 1:
            raise GraphQLError(
                "Must provide operation name if query contains multiple operations."
                if self.operations
                else "Must provide an operation."
            )
        return next(iter(self.operations.values()))


class Documents:
    """The documents that were asked for last, invalid ones too: repeating one costs nothing."""

    def __init__(
        self,
        schema: strawberry.Schema,
        limits: Limits,
        *,
        max_documents: int = MAX_DOCUMENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._max_documents = max_documents
        self._max_bytes = max_bytes
        self._bytes = 0
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Documents {len(self._documents)}, {self._bytes:,} bytes>"

    def errors(self, text: str) -> list[GraphQLError]:
        """Return what is wrong with a document, which is not kept; from any thread."""
        return Document(self._schema, text, self._limits).errors

    def known(self, text: str) -> Document | None:
        """Return a document that is kept."""
        document = self._documents.get(text)
        if document is not None:
            self._documents.move_to_end(text)
        return document

    def get(self, text: str) -> Document:
        """Return a document."""
        document = self.known(text)
        if document is not None:
            return document
        document = Document(self._schema, text, self._limits)
        if len(text) > self._limits.characters:
            return document  # to see that is quicker than to keep it
        self._documents[text] = document
        self._bytes += _size(text, document)
        while len(self._documents) > self._max_documents or self._bytes > self._max_bytes:
            dropped = self._documents.popitem(last=False)
            self._bytes -= _size(*dropped)
        return document


def _bare(error: GraphQLError) -> GraphQLError:
    """Take from an error what would keep the syntax tree, or the frames that it was raised in.

    Its cause goes, too: whatever Python says of a literal, such as an integer of 5,000 digits, it is the caller's.
    """
    error.nodes = error.original_error = None
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error


def _size(text: str, document: Document) -> int:
    return len(text) * (1 if document.errors else BYTES_A_CHARACTER) + 2000


def _validated(schema: strawberry.Schema, document: DocumentNode) -> list[GraphQLError]:
    core: Any = schema._schema  # noqa: SLF001  # see plan.py
    return validate_document(core, document, tuple(specified_rules))
