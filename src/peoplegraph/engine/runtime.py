"""One run of a plan: what its functions call when something is not as it mostly is, and what is awaited."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLError,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_nullable_type,
    is_non_null_type,
    located_error,
)
from graphql.execution.executor import Executor, default_field_resolver
from graphql.execution.values import get_argument_values
from graphql.pyutils import Undefined, inspect, is_iterable
from graphql.pyutils.is_awaitable import is_async_iterable, is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from peoplegraph.engine.positions import Errors, Position, as_list, as_path, null_position
from peoplegraph.engine.sites import Site

if TYPE_CHECKING:
    from peoplegraph.engine.plan import Plan


class Late:
    """What stands in a result for a value that is awaited, where nobody expected one."""

    __slots__ = ("awaitable", "is_nullable", "position", "site")

    def __init__(self, awaitable: Awaitable[Any], type_: GraphQLOutputType, site: Site, position: Position) -> None:
        self.awaitable = awaitable
        self.is_nullable = not is_non_null_type(type_)
        self.site = site
        self.position = position


class Run:
    """The state of one run."""

    def __init__(self, plan: "Plan", variable_values: Any, context: Any, root: Any) -> None:
        self.plan = plan
        self.variable_values = variable_values
        self.variables: Mapping[str, Any] = variable_values.coerced
        self.context = context
        self.root = root
        self.data: Any = None
        self.arguments: list[Mapping[str, Any] | None] = [None] * plan.sites
        self.collected = Errors()
        self._pending: list[_Pending] = []
        self._late: list[Late] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle: asyncio.Future[None] | None = None

    # what compiled functions call

    def spawn(self, awaitable: Awaitable[Any], holder: Any, site: Site, position: Position) -> None:
        """Await a resolver's value; it is completed, and put in its place, when it comes."""
        self._pending.append(_Pending(self, awaitable, holder, site.response_name, site, position))

    def error(self, error: Exception, site: Site, position: Position) -> None:
        """Take the error of a field, or an item, that becomes null for it."""
        self.collected.add(self.located(error, site, position), position)

    def located(self, error: Exception, site: Site, position: Position) -> GraphQLError:
        """Return an error with the field's place in the document and in the response, unless it has them."""
        return located_error(error, site.nodes, as_list(position))

    def null(self, site: Site) -> TypeError:
        """Return the error of a null that may not be."""
        return TypeError(f"Cannot return null for non-nullable field {site.name}.")

    def leaf(self, value: Any, type_: Any, site: Site, position: Position) -> Any:
        """Return a leaf that is not of the class that it mostly is, as GraphQL coerces it."""
        if value is None or value is Undefined:
            return None
        late = self._late_if_awaitable(value, type_, site, position)
        if late is not None:
            return late
        leaf = get_nullable_type(type_)
        coerced = leaf.coerce_output_value(value)
        if coerced is None or coerced is Undefined:
            raise TypeError(
                f"Expected `{inspect(leaf)}.coerce_output_value({inspect(value)})`"
                f" to return non-nullable value, returned: {inspect(coerced)}"
            )
        return coerced

    def items(self, value: Any, type_: Any, site: Site, position: Position) -> Any:
        """Return a list of what is none, or what stands for it."""
        late = self._late_if_awaitable(value, type_, site, position)
        if late is not None:
            return late
        if is_async_iterable(value):
            return self.delegated(value, type_, site, position)
        if not is_iterable(value):
            raise GraphQLError(f"Expected Iterable, but did not find one for field '{site.name}'.")
        return list(value)

    def checked(self, value: Any, declared: Any, site: Site, position: Position, classes: set[type]) -> Any:
        """Check an object of a class that was not seen before; return what stands for it if it cannot be used."""
        late = self._late_if_awaitable(value, declared, site, position)
        if late is not None:
            return late
        type_ = get_nullable_type(declared)
        if type_.is_type_of is None:
            classes.add(value.__class__)
            return None
        fits = type_.is_type_of(value, self.resolve_info(site, position))
        if is_awaitable(fits):
            _close(fits)
            return self.delegated(value, declared, site, position)
        if not fits:
            raise GraphQLError(f"Expected value of type '{type_}' but got: {inspect(value)}.", site.nodes)
        return None

    def abstract(self, value: Any, type_: GraphQLOutputType, site: Site, position: Position) -> Any:
        """Complete an object whose class does not tell its type."""
        late = self._late_if_awaitable(value, type_, site, position)
        if late is not None:
            return late
        return self.delegated(value, type_, site, position)

    def resolve(self, source: Any, site: Site, position: Position) -> Any:
        """Resolve a field with the function that graphql-core would call."""
        detail = site.details[0]
        arguments = get_argument_values(
            site.definition, detail.node, self.variable_values, detail.fragment_variable_values
        )
        resolve = site.definition.resolve or default_field_resolver
        return resolve(source, self.resolve_info(site, position), **arguments)

    def _late_if_awaitable(
        self, value: Any, type_: GraphQLOutputType, site: Site, position: Position
    ) -> Late | None:
        """Hand a value that nobody expected to be awaited over to graphql-core, with all that is below it.

        Raises one that is an exception, which is the field's error, and returns None of any other.
        """
        if isinstance(value, Exception):
            raise value
        if not is_awaitable(value):
            return None
        completed = self._executor.complete_awaitable_value(
            type_, site.details, self.resolve_info(site, position), as_path(position), value, None
        )
        return self._noted(completed, type_, site, position)

    def delegated(self, value: Any, type_: GraphQLOutputType, site: Site, position: Position) -> Any:
        """Have graphql-core complete a value."""
        info = self.resolve_info(site, position)
        completed = self._executor.complete_value(type_, site.details, info, as_path(position), value, None)
        return self._noted(completed, type_, site, position) if is_awaitable(completed) else completed

    def _noted(self, awaitable: Any, type_: GraphQLOutputType, site: Site, position: Position) -> Late:
        late = Late(awaitable, type_, site, position)
        self._late.append(late)
        return late

    def info(self, site: Site, position: Position) -> Any:
        """Return the `strawberry.Info` of a resolver; what is costly in it is made when it is asked for."""
        return self.plan.info_class(self, site, position)

    def resolve_info(self, site: Site, position: Position) -> GraphQLResolveInfo[Any]:
        """Return graphql-core's own info, as its executor makes it; it does without one, until it must have it."""
        operation = self.plan.operation
        return GraphQLResolveInfo(
            site.details[0].node.name.value,
            site.nodes,
            site.definition.type,
            site.parent_type,
            as_path(position),
            operation.core,
            operation.fragment_definitions,
            self.root,
            operation.definition,
            self.variable_values,
            self.context,
            is_awaitable,
            None,
            GraphQLResolveInfoHelpers(self._gather, self._track),
        )

    def _gather(self, values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
        return self._executor.gather_async_work(values)

    def _track(self, values: Sequence[Any]) -> None:
        self._executor.track_async_work(values)

    @cached_property
    def _executor(self) -> Executor[Any]:
        executor = self.plan.executor(self)
        executor.collected_errors = self.collected  # type: ignore[assignment]  # it does the same
        return executor

    # running

    async def execute(self) -> None:
        """Run the plan; `data` and `collected.errors` are what it came to."""
        try:
            self.data = {}
            for function in self.plan.root_functions:
                function(self.root, None, self)
                if self.has_late:
                    self.place_late(self.data)
                await self._settle()
                if self.data is None:
                    return
        except GraphQLError as error:
            self.collected.add(error, None)
            self.data = None
        finally:
            for pending in self._pending:
                pending.drop()
            for late in self._late:
                self.abandon(late)
            for task in self._tasks:
                task.cancel()

    @property
    def has_late(self) -> bool:
        """Whether a compiled function left something to be awaited where nobody expected it."""
        return bool(self._late)

    def place_late(self, container: Any) -> None:
        """Seek out what a compiled function left to be awaited where nobody expected it, and await it."""
        lates, self._late = self._late, []
        known = set(map(id, lates))
        stack: list[Any] = [container]
        while known and stack:
            holder = stack.pop()
            for key, value in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
                if id(value) in known:
                    known.discard(id(value))
                    holder[key] = None
                    self._pending.append(_Pending(self, value, holder, key, value.site, value.position))
                elif isinstance(value, dict | list):
                    stack.append(value)
        for late in lates:
            if id(late) in known:
                self.abandon(late)

    def abandon(self, late: Late) -> None:
        """Do not wait for a value any more: graphql-core has begun it, and lets it come to its end."""
        self._executor.settle_in_background([late.awaitable])

    async def _settle(self) -> None:
        """Await everything that is pending, and what that leads to."""
        while self._pending:
            if len(self._pending) == 1:
                await self._pending.pop().here()
                continue
            self._start()
            if self._tasks:
                self._idle = asyncio.get_running_loop().create_future()
                await self._idle

    def _start(self) -> None:
        pending, self._pending = self._pending, []
        for each in pending:
            if self.collected.covers(each.position):
                each.drop()
                continue
            task = asyncio.ensure_future(each.awaitable)
            self._tasks.add(task)
            task.add_done_callback(each.landed)

    def landed(self, task: "asyncio.Task[Any]") -> None:
        """Go on behind a task: start what it has led to."""
        self._tasks.discard(task)
        if self._pending:
            self._start()
        if not self._tasks and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def vanish(self, position: Position, site: Site, error: GraphQLError) -> None:
        """Let null take the place of what holds a value that may not be null, and is."""
        above = null_position(position, site)
        self.collected.add(error, above)
        if above is None:
            self.data = None
            return
        *keys, last = as_list(above)
        holder = self.data
        for key in keys:
            if holder is None:
                return
            holder = holder[key]
        if holder is not None:
            holder[last] = None


class _Pending:
    """A value that is awaited, and the place that it goes to."""

    __slots__ = ("awaitable", "holder", "key", "late", "position", "run", "site")

    def __init__(  # noqa: PLR0913, PLR0917  # what, where it goes, and whose it is
        self, run: Run, awaited: Any, holder: Any, key: str | int, site: Site, position: Position
    ) -> None:
        self.run = run
        self.late = awaited if isinstance(awaited, Late) else None
        self.awaitable: Awaitable[Any] = awaited if self.late is None else self.late.awaitable
        self.holder = holder
        self.key = key
        self.site = site
        self.position = position

    def drop(self) -> None:
        """Do not await it: what holds it has become null."""
        if self.late is not None:
            self.run.abandon(self.late)
        else:
            _close(self.awaitable)

    async def here(self) -> None:
        """Await it where we are: it is the only one."""
        if self.run.collected.covers(self.position):
            self.drop()
            return
        try:
            value = await self.awaitable
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._fail(error)  # what it waited for was cancelled, and not this run
        except Exception as error:  # noqa: BLE001  # whatever a resolver raises is the field's error
            self._fail(error)
        else:
            self._complete(value)

    def landed(self, task: "asyncio.Task[Any]") -> None:
        """Take what a task came to."""
        try:
            if task.cancelled():
                self._fail(asyncio.CancelledError())
            elif (error := task.exception()) is not None:
                self._fail(error)
            else:
                self._complete(task.result())
        finally:
            self.run.landed(task)

    def _complete(self, value: Any) -> None:
        run = self.run
        if run.collected.covers(self.position):
            return
        try:
            if self.late is None:  # else graphql-core has completed it
                value = run.plan.completers[self.site.index](value, self.position, run)
            self.holder[self.key] = value
            if run.has_late:
                run.place_late(self.holder)
        except BaseException as error:  # noqa: BLE001  # in a callback there is nobody else to take it
            run.place_late([])
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        run, site = self.run, self.site
        if not isinstance(error, Exception):
            error = TypeError(f"Unexpected error value: {error!r}")
        located = run.located(error, site, self.position)
        if site.is_nullable if self.late is None else self.late.is_nullable:
            run.collected.add(located, self.position)
        else:
            run.vanish(self.position, site, located)


def _close(awaitable: Any) -> None:
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
