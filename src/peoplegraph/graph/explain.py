"""Explains an operation: the upstream calls that it makes at worst, field by field, and those that it made."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from graphql import GraphQLObjectType
from graphql.execution.values import VariableValues

from peoplegraph.engine import NO_VARIABLES, Operation
from peoplegraph.graph.cost import Budget, CallTable, Choice, Cost, Walk
from peoplegraph.systems import System
from peoplegraph.upstream.call import Endpoint
from peoplegraph.upstream.trail import Step, Trail

MAX_FIELDS = 1_000
"""How many fields of an operation are looked at; fragments may make more of a document than anybody can read."""


class PossibleCall(msgspec.Struct, frozen=True, rename="camel"):
    """A call that a field may make: to `path`, or to one of `alternatives`."""

    system: str
    method: str
    path: str
    at_worst: int
    how: str
    kept_s: float
    alternatives: list[str] = []


class PossibleField(msgspec.Struct, frozen=True, rename="camel"):
    """A field that may make calls, by its place in the answer; it waits for the field that it depends on."""

    path: list[str]
    field: str
    depends_on: list[str] | None
    calls: list[PossibleCall]


class AtWorst(msgspec.Struct, frozen=True, rename="camel"):
    """What an operation may come to; of an interface, the fields of all types that its value may have."""

    calls: int
    fields: list[PossibleField]
    truncated: bool
    """Whether there are more fields than are told."""


class ExplainedOperation(msgspec.Struct, frozen=True, rename="camel"):
    """Which operation it is; `declined` says why graphql-core ran it, where the compiler did not."""

    name: str | None
    type: str
    hash: str
    compiled: bool
    declined: str | None


class MadeCall(msgspec.Struct, frozen=True, rename="camel"):
    """A call that was made, or an answer that was had without one; `code` says why there is no status."""

    system: str
    method: str
    path: str
    source: str
    attempt: int
    status: int | None
    code: str | None
    start_ms: float
    duration_ms: float
    bytes: int


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """What the `explain` of an answer has; times are in milliseconds from the operation's beginning."""

    operation: ExplainedOperation
    duration_ms: float
    at_worst: AtWorst
    calls: list[MadeCall]


def made_calls(trail: Trail, since: float) -> list[MadeCall]:
    """Return what came of the calls of a request that began at `since`, on the clock of `perf_counter`."""
    return [_made(step, since) for step in trail.steps if step.ended]  # others' of a batch may be under way


def _made(step: Step, since: float) -> MadeCall:
    has_status = step.outcome.isdigit()
    return MadeCall(
        step.call.system.name,
        step.call.method,
        step.call.path,
        str(step.source),
        step.attempt,
        int(step.outcome) if has_status else None,
        step.code if has_status else step.outcome,
        round((step.began - since) * 1000, 3),
        round((step.ended - step.began) * 1000, 3),
        step.bytes,
    )


class Explainer:
    """Explains operations from what is known of the calls of all fields; `kept_s` is how long reads are kept."""

    def __init__(self, table: CallTable, kept_s: Callable[[System], float]) -> None:
        self._table = table
        self._kept_s = kept_s
        self._budget = Budget(table, 0)

    def explain(  # what a run consists of
        self, operation: Operation, variables: Mapping[str, Any] | None, trail: Trail, began: float, ended: float
    ) -> Explanation:
        """Explain an operation that ran from `began` to `ended`, or that did not run."""
        values = operation.coerce(variables) if operation.definition.variable_definitions else NO_VARIABLES
        return Explanation(
            ExplainedOperation(
                operation.name, operation.type, operation.digest, operation.declined is None, operation.declined
            ),
            round((ended - began) * 1000, 3),
            self.at_worst(operation, None if isinstance(values, list) else values),
            made_calls(trail, began),
        )

    def at_worst(self, operation: Operation, variables: VariableValues | None) -> AtWorst:
        """Return the calls that an operation may make with these variables, or with any."""
        root = operation.core.get_root_type(operation.definition.operation)
        walk = Walk(self._table, operation, variables)
        explanation = _Explanation(self, walk, operation)
        fields = list(explanation.fields(root, [operation.definition], (), None, 1, 1))
        return AtWorst(self._budget.calls(operation, variables), fields, explanation.left < 0)

    def own_calls(self, cost: Cost, parent: str, times: int) -> Iterator[PossibleCall]:
        """Yield the calls that are made for each value that a field is asked of."""
        for choice in cost.calls.each:
            if cost.calls.pages:
                how = "pages of up to 100, and one to know whether that is all"
            elif cost.calls.per:
                how = f"one for each of `{cost.calls.per}`"
            else:
                how = f"one for each {parent}" if times > 1 else "one"
            if _endpoints(choice)[0].reads and times * cost.times > 1:
                how += "; equal ones are one"
            yield self._possible(choice, times * cost.times, how)

    def shared_calls(self, name: str, *, is_first: bool) -> Iterator[PossibleCall]:
        """Yield the calls that are made once for the operation, counted where they are first listed."""
        shared = self._table.shared[name]
        for choice in dict.fromkeys(shared.calls):
            yield self._possible(choice, shared.calls.count(choice) if is_first else 0, shared.how)

    def _possible(self, choice: Choice, times: int, how: str) -> PossibleCall:
        endpoint, *others = _endpoints(choice)
        kept_s = self._kept_s(endpoint.system) if endpoint.reads else 0.0
        paths = [other.path for other in others]
        return PossibleCall(endpoint.system.name, endpoint.method, endpoint.path, times, how, kept_s, paths)


def _endpoints(choice: Choice) -> tuple[Endpoint, ...]:
    return choice if isinstance(choice, tuple) else (choice,)


class _Explanation:
    """One walk; what is shared is counted once."""

    def __init__(self, explainer: Explainer, walk: Walk, operation: Operation) -> None:
        self._explainer = explainer
        self._walk = walk
        self._is_mutation = operation.is_mutation
        self._counted: set[str] = set()
        self.left = MAX_FIELDS

    def fields(  # noqa: PLR0913, PLR0917  # where it stands
        self,
        type_: GraphQLObjectType,
        parents: list[Any],
        path: tuple[str, ...],
        depends_on: tuple[str, ...] | None,
        first: int,
        times: int,
    ) -> Iterator[PossibleField]:
        """Yield the fields that may make calls, those that others depend on before them."""
        for name, nodes in self._walk.fields(type_, parents).items():
            if self._is_mutation and not path:
                self._counted.clear()  # each root field may make the next one ask anew
            cost = self._walk.cost(type_, nodes, first)
            self.left -= 1
            if self.left < 0:
                return
            if cost is None:
                continue
            here = (*path, name)
            calls = [*self._explainer.own_calls(cost, type_.name, times), *self._shared(cost)]
            if calls:
                coordinate = f"{type_.name}.{nodes[0].name.value}"
                yield PossibleField(list(here), coordinate, list(depends_on) if depends_on else None, calls)
            for possible in self._walk.possible(cost.type):
                yield from self.fields(
                    possible, nodes, here, here if calls else depends_on, cost.first, times * cost.items
                )

    def _shared(self, cost: Cost) -> Iterator[PossibleCall]:
        for name in cost.calls.shared:
            yield from self._explainer.shared_calls(name, is_first=name not in self._counted)
            self._counted.add(name)
