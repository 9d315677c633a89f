"""A `strawberry.Info` of which what is costly is made when it is asked for."""

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo, OperationDefinitionNode

from peoplegraph.engine.positions import Position
from peoplegraph.engine.sites import Site

if TYPE_CHECKING:
    from peoplegraph.engine.runtime import Run


class LazyInfo:
    """The lazy part of a `strawberry.Info`; `info_class` mixes it with the schema's own class."""

    def __init__(self, run: "Run", site: Site, position: Position) -> None:
        self._run = run
        self._site = site
        self._position = position

    @cached_property
    def _raw_info(self) -> GraphQLResolveInfo[Any]:
        return self._run.resolve_info(self._site, self._position)

    @property
    def _field(self) -> Any:
        return self._site.field

    @property
    def operation(self) -> OperationDefinitionNode:
        """The operation."""
        return self._run.plan.operation.definition

    @property
    def context(self) -> Any:
        """The request's context."""
        return self._run.context

    @property
    def root_value(self) -> Any:
        """The root value."""
        return self._run.root


@cache
def info_class(base: type) -> type:
    """Return a schema's class of infos, made lazy."""
    return type(base.__name__, (LazyInfo, base), {})
