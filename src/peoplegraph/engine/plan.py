"""A plan: one operation of one document, compiled; immutable, and run as often as one likes."""

import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields
from graphql.execution.executor import Executor, default_field_resolver, default_type_resolver
from graphql.execution.values import VariableValues

from peoplegraph.engine.compiler import Compiler, Declined
from peoplegraph.engine.info import info_class
from peoplegraph.engine.runtime import Run
from peoplegraph.engine.variables import Coercer

if TYPE_CHECKING:
    from peoplegraph.engine.guard import Denied

log = logging.getLogger(__name__)

MAX_PLANS = 8
"""The plans that an operation keeps: one for each way in which its conditions turned out, with what is denied."""

_DECLINED_DIRECTIVES = frozenset({"defer", "stream", "experimental_disableErrorPropagation"})


class Operation:
    """A validated operation, and the plans that were made of it: one for each way its conditions may turn out."""

    def __init__(
        self,
        schema: strawberry.Schema,
        document: DocumentNode,
        definition: OperationDefinitionNode,
        digest: str = "",
    ) -> None:
        self.schema = schema
        self.name = definition.name.value if definition.name else None
        self.type = definition.operation.value
        self.digest = digest
        """The SHA-256 of the document's text, as Apollo's persisted queries have it."""
        self.core: Any = schema._schema  # noqa: SLF001  # Strawberry has no other way to it
        self.document = document
        self.definition = definition
        self.fragment_definitions = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self.fragments = {name: FragmentDetails(each) for name, each in self.fragment_definitions.items()}
        self.declined = self._why_declined()
        self.coerce = Coercer(self.core, definition.variable_definitions or ())
        self._conditions = tuple(sorted(set(self._condition_names())))
        self.compilations = 0
        """How often it was compiled."""
        self._plans: OrderedDict[tuple[Any, ...], Plan] = OrderedDict()
        self.notes: dict[Any, Any] = {}
        """What others have found out about the operation; it is kept as long as the operation is."""

    def plan(self, variable_values: VariableValues, denied: "Denied | None" = None) -> "Plan":
        """Return the plan for these values of the variables, less what is denied. Raises `Declined`."""
        if self.declined is not None:
            raise Declined(self.declined)
        key = (denied, *map(variable_values.coerced.get, self._conditions))
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._compiled(variable_values, denied)
            self.compilations += 1
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return plan

    def _compiled(self, variable_values: VariableValues, denied: "Denied | None") -> "Plan":
        try:
            return Plan(self, variable_values, denied)
        except Declined as error:
            self.declined = str(error)
            raise
        except Exception as error:
            # graphql-core has the last word: it knows what to say, and a bug of ours costs time and no answer
            log.debug("compiling failed", exc_info=True)
            raise Declined(f"it cannot be compiled: {type(error).__name__}") from error

    def _why_declined(self) -> str | None:
        if self.definition.operation is OperationType.SUBSCRIPTION:
            return "it is a subscription"
        for directive in self._directives():
            if directive.name.value in _DECLINED_DIRECTIVES:
                return f"it has @{directive.name.value}"
        return None

    def _condition_names(self) -> Iterator[str]:
        """Yield the variables that decide which fields there are."""
        for directive in self._directives():
            if directive.name.value in ("skip", "include"):
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        yield argument.value.name.value

    @property
    def is_mutation(self) -> bool:
        """Whether it may change something."""
        return self.definition.operation is OperationType.MUTATION

    @cached_property
    def field_names(self) -> frozenset[str]:
        """The names of all fields in the operation and in its document's fragments."""
        return frozenset(node.name.value for node in self._nodes() if isinstance(node, FieldNode))

    def _directives(self) -> Iterator[DirectiveNode]:
        """Yield the directives of the operation and of all fragments."""
        for node in self._nodes():
            yield from node.directives or ()

    def _nodes(self) -> Iterator[Any]:
        """Yield the operation, all fragments, and whatever they select."""
        stack: list[Any] = [self.definition, *self.fragment_definitions.values()]
        while stack:
            node = stack.pop()
            yield node
            selection_set = getattr(node, "selection_set", None)  # a spread has none
            if selection_set is not None:
                stack.extend(selection_set.selections)


class Plan:
    """Compiled functions, and what is needed to call them."""

    def __init__(
        self, operation: Operation, variable_values: VariableValues, denied: "Denied | None" = None
    ) -> None:
        self.operation = operation
        self._denied = denied
        schema, core = operation.schema, operation.core
        root_type = core.get_root_type(operation.definition.operation)
        if root_type is None:
            raise Declined(f"the schema has no {operation.definition.operation.value}")
        base: Any = schema.config.info_class
        self.info_class = info_class(base)
        root = collect_fields(core, operation.fragments, variable_values, root_type, operation.definition)
        compiler = Compiler(
            schema,
            self.info_class,
            lambda type_, details: (
                collect_subfields(
                    core, operation.fragments, variable_values, operation.definition, type_, details
                ).grouped_field_set
            ),
            denied,
        )
        compiled = compiler.operation(root_type, root.grouped_field_set, serially=operation.is_mutation)
        self.source = compiled.source
        self.sites = compiled.sites
        self.root_functions = compiled.root_functions
        self.completers: Mapping[int, Any] = compiled.completers

    def __repr__(self) -> str:
        return f"<Plan of {self.sites} fields, {len(self.completers)} of them async>"

    async def run(self, variable_values: VariableValues, context: Any = None, root: Any = None) -> Run:
        """Run the plan; the run's `data` and `collected.errors` are the response."""
        run = Run(self, variable_values, context, root)
        await run.execute()
        return run

    def executor(self, run: Run) -> Executor[Any]:
        """Return what graphql-core would run the operation with: it does what compiled functions leave to it."""
        operation = self.operation
        return Executor(
            operation.core,
            operation.fragment_definitions,
            operation.fragments,
            run.root,
            run.context,
            operation.definition,
            run.variable_values,
            default_field_resolver,
            default_type_resolver,
            default_field_resolver,
            middleware_manager=self._denied.middleware if self._denied else None,
        )
