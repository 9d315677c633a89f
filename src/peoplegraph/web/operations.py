"""Operations: from what is asked for to its result, whoever asks, and over whatever transport."""

import json
from collections import Counter
from collections.abc import Awaitable, Collection
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from graphql import GraphQLError, GraphQLFormattedError, OperationType

from peoplegraph.access.caller import Caller
from peoplegraph.access.documents import NamedDocuments
from peoplegraph.context import Context
from peoplegraph.engine import Engine, Operation, Result
from peoplegraph.errors import GatewayError, IntrospectionDisabled, MissingScope, code_of, describe
from peoplegraph.graph.audit import tell_refused
from peoplegraph.graph.explain import Explainer
from peoplegraph.observe import metrics
from peoplegraph.scopes import Scope
from peoplegraph.systems import System
from peoplegraph.web.asking import Asking, MakeContext
from peoplegraph.web.protocol import GRAPHQL, Asked
from peoplegraph.web.sharing import Sharing

if TYPE_CHECKING:
    from peoplegraph.observe.traces import Traces

_INTROSPECTION = ("__schema", "__type", "_service")


class Operations:
    """Finds, checks and runs operations.

    `introspects` is whether everybody may read the schema; `sharing` is told of what was written.
    """

    def __init__(  # noqa: PLR0913  # what it stands on
        self,
        engine: Engine,
        make_context: MakeContext,
        named: NamedDocuments | None = None,
        *,
        sharing: Sharing | None = None,
        explainer: Explainer | None = None,
        traces: "Traces | None" = None,
        introspects: bool = True,
        explains: bool = True,
    ) -> None:
        self.engine = engine
        self.named = named or NamedDocuments(None, None)
        self._introspects = introspects
        self._explainer = explainer
        self._explains = explains
        self.traces = traces
        self.make_context = make_context
        self.sharing = sharing

    async def find(self, asked: Asked, caller: Caller) -> tuple[Operation | None, list[GraphQLError]]:
        """Return the operation that is asked for, or what is wrong with it."""
        try:
            if asked.document.text is None:
                await self.named.fetch(asked.document)
            text = self.named.text(asked.document, caller)
        except GatewayError as error:
            return None, [GraphQLError(str(error), original_error=error)]
        documents = self.engine.documents
        document = documents.known(text)
        (metrics.document_miss if document is None else metrics.document_hit)()
        document = document or documents.get(text)
        if document.errors:
            if document.limit is not None:
                metrics.limits(document.limit).inc()
            return None, document.errors
        try:
            operation = document.operation(asked.operation_name)
        except GraphQLError as error:
            return None, [error]
        if not operation.field_names.isdisjoint(_INTROSPECTION) and not self.may_introspect(caller):
            denied = IntrospectionDisabled()
            return None, [GraphQLError(str(denied), original_error=denied)]
        self.named.keep(asked.document, text)
        return operation, []

    async def answer(
        self, operation: Operation, asked: Asked, asking: Asking, context: Context
    ) -> tuple[Result, dict[str, Any]]:
        """Run an operation, unless it is only to be explained; return what it came to, and the answer."""
        if not asked.explain:
            result = await self._run(operation, asked, asking, context)
            return result, self.response(result, asking, context.stale, operation)
        began = perf_counter()
        if asked.explain == "only":
            asking.seen.ran(operation.name, operation.type, operation.digest)
            errors = self.engine.refuse(operation, asked.variables)
            result = Result(None, errors, executed=not errors)
        else:
            result = await self._run(operation, asked, asking, context)
        response = self.response(result, asking, context.stale, operation)
        explained = self._explained(operation, asked, asking, context, began, perf_counter())
        response["extensions"] = {**response.get("extensions", {}), "explain": explained}
        return result, response

    def _explained(  # noqa: PLR0913, PLR0917  # all that there is to tell
        self, operation: Operation, asked: Asked, asking: Asking, context: Context, began: float, ended: float
    ) -> Any:
        if self._explainer is None or not (self._explains or Scope.EXPLAIN in asking.caller.scopes):
            return {"code": MissingScope.code, "message": f"This needs the scope `{Scope.EXPLAIN}`"}
        explained = self._explainer.explain(operation, asked.variables, context.trail, began, ended)
        return msgspec.to_builtins(explained)

    async def _run(self, operation: Operation, asked: Asked, asking: Asking, context: Context) -> Result:
        """Run an operation, and count it."""
        began, compilations = perf_counter(), operation.compilations
        asking.seen.ran(operation.name, operation.type, operation.digest)
        span = self.traces.begin(operation, asking.headers) if self.traces is not None else None
        context.trail.span = context.trail.span or span  # in a batch all calls are in the first
        outcome = "cancelled"
        codes = {"CANCELLED"}
        try:
            run = self.engine.run(operation, asked.variables, context, granted=asking.caller.scopes)
            result = await (run if is_query(operation) else self._written(run, operation, context))
            outcome = "ok" if not result.errors else "errors" if result.executed else "refused"
            codes = {code_of(error) for error in result.errors} if span is not None else set()
        finally:
            asking.seen.called(context.trail)
            name = self._told(operation, asking)
            count, observe = metrics.operation(name, operation.type, outcome)
            count()
            observe(perf_counter() - began)
            if span is not None:
                span.end(context.trail, codes)
        if operation.declined is not None:
            metrics.declined(operation.declined).inc()
        elif result.executed and operation.compilations:
            (metrics.plan_hit if operation.compilations == compilations else metrics.plan_miss)()
        return result

    async def _written(self, run: Awaitable[Result], operation: Operation, context: Context) -> Result:
        try:
            result = await run
        finally:
            if self.sharing is not None:
                self.sharing.forget()
        tell_refused(context, operation.name, result.errors)
        return result

    def response(
        self,
        result: Result,
        asking: Asking,
        stale: Collection[System] = (),
        operation: Operation | None = None,
    ) -> dict[str, Any]:
        """Return a result as GraphQL has it, with the errors as a caller may read them."""
        response: dict[str, Any] = {}
        if result.executed:
            response["data"] = result.data
        if result.errors:
            response["errors"] = self.described(result.errors, asking, operation)
        if stale:
            response["extensions"] = {"stale": sorted(system.name for system in stale)}
        return response

    def described(
        self, errors: list[GraphQLError], asking: Asking, operation: Operation | None = None
    ) -> list[GraphQLFormattedError]:
        """Return errors as a caller may read them, and count them."""
        suggests = self.may_introspect(asking.caller)
        described = [describe(error, asking.request_id, suggests=suggests) for error in errors]
        codes = Counter(str(error.get("extensions", {}).get("code")) for error in described)
        asking.seen.failed(codes, self._told(operation, asking) if operation else None)
        return described

    def _told(self, operation: Operation, asking: Asking) -> str:
        """Return what an operation is called in metrics."""
        if operation.name is None or operation.name in metrics.NAMES.known:
            return metrics.NAMES.told(operation.name)
        if self.named.is_trusted(operation.digest):
            metrics.NAMES.trust(operation.name)
        else:
            metrics.NAMES.bring(operation.name, asking.who)
        return metrics.NAMES.told(operation.name)

    def may_introspect(self, caller: Caller) -> bool:
        """Whether a caller may read the schema."""
        return self._introspects or Scope.INTROSPECTION in caller.scopes


def is_query(operation: Operation) -> bool:
    """Whether an operation changes nothing."""
    return operation.definition.operation is OperationType.QUERY


def status_of(result: Result, kind: str) -> int:
    """Return the HTTP status of a result, in the media type that it is answered in."""
    return 400 if kind == GRAPHQL and not result.executed else 200


def dumped(answer: Any) -> bytes:
    """Encode an answer; the standard library has larger numbers and odder texts than orjson."""
    try:
        return orjson.dumps(answer)
    except TypeError:
        return json.dumps(answer, allow_nan=False, separators=(",", ":")).encode()
