"""A `strawberry.Info` of which what is costly is made when it is asked for."""

from collections.abc import Callable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import strawberry
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
def info_class(base: Any) -> Callable[["Run", Site, Position], Any]:
    """Return what makes the infos of a schema's own class: lazily, unless that class has its own idea of them."""
    if any(getattr(base, name) is not getattr(strawberry.Info, name) for name in _LAZY):
        return lambda run, site, position: base(_raw_info=run.resolve_info(site, position), _field=site.field)
    return type(base.__name__, (LazyInfo, base), {})


_LAZY = ("__init__", "context", "operation", "root_value")
