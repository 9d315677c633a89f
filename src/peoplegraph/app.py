"""The wiring diagram: settings → upstream path → request contexts → schema → endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from peoplegraph.access.documents import AutomaticQueries, NamedDocuments, TrustedDocuments, read_manifests
from peoplegraph.access.gate import Gate
from peoplegraph.access.quotas import Quotas
from peoplegraph.access.watch import Watched, watching
from peoplegraph.backends import BACKENDS
from peoplegraph.context import Context, ways_to
from peoplegraph.engine import Engine, Guard, Limits
from peoplegraph.graph.cost import Budget
from peoplegraph.graph.explain import Explainer
from peoplegraph.graph.scoped import missing, refused_whole
from peoplegraph.observe import metrics
from peoplegraph.observe.monitor import Monitor
from peoplegraph.schema import build_federated, build_schema, call_table
from peoplegraph.settings import Settings, SettingsError, TrustMode, setting_files, unknown_variables
from peoplegraph.systems import System
from peoplegraph.upstream import Upstream, build_upstream
from peoplegraph.web.asking import Asking, ReadHeaders
from peoplegraph.web.assets import Assets
from peoplegraph.web.gateway import Front, Gateway, for_other_origins
from peoplegraph.web.graphql import Endpoint, deadline_s
from peoplegraph.web.health import Health
from peoplegraph.web.hosts import Hosts
from peoplegraph.web.operations import Operations
from peoplegraph.web.pages import Pages
from peoplegraph.web.sharing import Sharing
from peoplegraph.web.socket import Sockets

if TYPE_CHECKING:
    from peoplegraph.observe.traces import Traces
    from peoplegraph.shared import Shared

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, assets: Assets | None = None) -> Gateway:
    """Return the gateway as an ASGI application; without `settings` they are read from the environment.

    Its lifespan opens and closes the connections to the upstreams. Raises `SettingsError`.
    """
    reads_settings = settings is None
    settings = settings or Settings.load()
    monitor = Monitor()
    shared = build_shared(settings)
    upstream: Upstream | None = None

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        nonlocal upstream
        _say(settings)
        looking = watching(gateway.look) if gateway.has_files else nullcontext()
        async with opened_upstream(settings, shared, front.operations.sharing) as upstream, looking:
            try:
                async with monitor.watching(sample):
                    yield
            finally:
                await gateway.front.sockets.finish(settings.deadline_s)

    def opened() -> Upstream:
        if upstream is None:
            raise RuntimeError("the application's lifespan has not begun: its server must run it")
        return upstream

    def sample() -> None:
        opened().sample(settings.configured)
        if shared is not None:
            shared.sample()
        metrics.READY.set(health.status == "ready")

    def breakers() -> Mapping[str, str] | None:
        return None if upstream is None else upstream.states(settings.configured)

    def change(front: Front) -> Front:
        return changed(front, Settings.load(), opened, shared)

    store = None if shared is None else shared.state
    health = Health(monitor, breakers, store, needs_upstreams=settings.ready_needs_upstreams)
    front = build_front(settings, opened, shared=shared, assets=assets or Assets())
    files = Watched(setting_files() if reads_settings else (), lambda: None)
    gateway = Gateway(front, health, files, change if reads_settings else None, lifespan=lifespan)
    return gateway


@asynccontextmanager
async def opened_upstream(
    settings: Settings, shared: "Shared | None", sharing: Sharing | None
) -> AsyncIterator[Upstream]:
    """Open the path to the systems, alone or as one gateway of a group."""
    if shared is None:
        async with build_upstream(settings) as upstream:
            yield upstream
        return
    async with (
        build_upstream(settings, shared.group, shared.records) as upstream,
        shared.taking_part(upstream.engine, [upstream, *([sharing] if sharing is not None else [])]),
    ):
        yield upstream
        await upstream.cache.told()


def build_front(
    settings: Settings,
    upstream: Callable[[], Upstream],
    old: Front | None = None,
    *,
    shared: "Shared | None" = None,
    assets: Assets,
) -> Front:
    """Return what stands before the systems. What an `old` one knows and the settings leave as it is goes on."""

    def make_context(asking: Asking) -> Context:
        return Context(
            ways=ways,
            send=upstream().send,
            settings=settings,
            caller=asking.caller,
            caller_headers=asking.headers,
            deadline=asyncio.get_running_loop().time() + deadline_s(asking.headers, settings.deadline_s),
            request_id=asking.request_id,
            charge=asking.quota.calls.take if asking.quota.calls else None,
        )

    ways = ways_to(BACKENDS, settings)
    gate = old.gate if old and _same(old.settings, settings, _GATE) else Gate(settings)
    engine = old.operations.engine if old and _same(old.settings, settings, _ENGINE) else build_engine(settings)
    named = (
        old.operations.named if old and _same(old.settings, settings, _NAMED) else _named(settings, engine, shared)
    )
    shares = settings.share_operations and settings.sees_all_writes
    others = None if shared is None else shared.group
    operations = Operations(
        engine,
        make_context,
        named,
        sharing=old.operations.sharing if old else Sharing(settings.deadline_s / 2, others) if shares else None,
        explainer=build_explainer(settings),
        traces=old.operations.traces if old else _traces(settings),
        introspects=settings.introspects,
        explains=settings.explains,
    )
    quotas = old.quotas if old and _same(old.settings, settings, _QUOTAS) else _quotas(settings, shared)
    read_headers = ReadHeaders(
        (header for backend in BACKENDS for header in backend.credential_headers), traces=settings.traces
    )
    pages = Pages(assets, has_graphiql=settings.has_graphiql, has_dashboard=settings.has_dashboard)
    endpoint = Endpoint(
        operations,
        gate,
        quotas,
        read_headers,
        max_body_bytes=settings.max_body_bytes,
        max_batch=settings.max_batch,
        longest_s=settings.deadline_s,
        graphiql=pages.graphiql if settings.has_graphiql else None,
    )
    sockets = Sockets(
        operations,
        gate,
        quotas,
        read_headers,
        origins=settings.cors_origins,
        most=settings.caller_sockets,
        most_operations=settings.max_socket_operations,
        init_s=settings.socket_init_s,
        idle_s=settings.socket_idle_s,
        writing=old.sockets.writing if old else None,
        under_way=old.sockets.under_way if old else None,
    )
    return Front(
        settings=settings,
        http=for_other_origins(endpoint, settings.cors_origins, read_headers),
        sockets=sockets,
        hosts=Hosts(settings.hosts),
        gate=gate,
        quotas=quotas,
        operations=operations,
        pages=pages,
        watched=[*gate.watched, *named.watched],
    )


def changed(
    front: Front, settings: Settings, upstream: Callable[[], Upstream], shared: "Shared | None" = None
) -> Front:
    """Return a front for new settings, as far as they can change while the gateway runs. Raises `SettingsError`."""
    settings, fixed = front.settings.changed_to(settings)
    if fixed:
        log.warning("it takes a restart to change %s", ", ".join(fixed))
    if settings == front.settings:
        return front
    log.info("the settings are read anew")
    return build_front(settings, upstream, front, shared=shared, assets=front.pages.assets)


_GATE = ("api_keys", "keys_file", "jwt", "open", "open_to_network", "open_scopes")
_ENGINE = (
    "max_document_characters",
    "max_document_tokens",
    "max_depth",
    "max_aliases",
    "max_root_fields",
    "max_directives",
    "max_upstream_calls",
)
_NAMED = (*_ENGINE, "trusted_documents", "trusted_manifest", "persisted_queries")
_QUOTAS = ("caller_requests_per_second", "caller_calls_per_minute", "caller_operations")


def _same(old: Settings, new: Settings, names: Collection[str]) -> bool:
    return all(getattr(old, name) == getattr(new, name) for name in names)


def _traces(settings: Settings) -> "Traces | None":
    if not settings.traces:
        return None
    try:
        from peoplegraph.observe.traces import Traces  # noqa: PLC0415
    except ImportError:
        raise SettingsError("PEOPLEGRAPH_TRACES: needs more: pip install 'peoplegraph[otel]'") from None
    return Traces([system for system, block in settings.configured.items() if block.traceparent])


def build_shared(settings: Settings) -> "Shared | None":
    """Return what is shared with other gateways, if the settings name a store for it. Raises `SettingsError`."""
    if not settings.shared.is_on:
        return None
    try:
        from peoplegraph.shared import Shared  # noqa: PLC0415
    except ImportError:
        raise SettingsError("PEOPLEGRAPH_SHARED_URL: needs more: pip install 'peoplegraph[shared]'") from None
    return Shared(settings)


def _quotas(settings: Settings, shared: "Shared | None") -> Quotas:
    return Quotas(
        requests_per_second=settings.caller_requests_per_second,
        calls_per_minute=settings.caller_calls_per_minute,
        at_once=settings.caller_operations,
        group=None if shared is None else shared.rates,
    )


def build_engine(settings: Settings) -> Engine:
    """Return the engine over the schema, with the limits in the settings."""
    limits = Limits(
        characters=settings.max_document_characters,
        tokens=settings.max_document_tokens,
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        root_fields=settings.max_root_fields,
        directives=settings.max_directives,
    )
    schema = build_federated() if settings.federation else build_schema()
    budget = Budget(call_table(), settings.max_upstream_calls)
    guard = Guard(schema, refused_whole, missing)
    return Engine(schema, limits, compiles=settings.compile, check=budget.check, guard=guard)


def build_explainer(settings: Settings) -> Explainer:
    """Return what explains operations; what a system that is left out would be called is told, too."""
    return Explainer(call_table(), settings.cache_ttl_s)


def check_files(settings: Settings) -> None:
    """Read the files that the settings name, and look whether what they need is there. Raises `SettingsError`."""
    Gate(settings)
    _traces(settings)
    build_shared(settings)
    if settings.trusted_documents is not TrustMode.OFF:
        read_manifests(settings.trusted_manifest)


def _named(settings: Settings, engine: Engine, shared: "Shared | None") -> NamedDocuments:
    trusted = None
    if settings.trusted_documents is not TrustMode.OFF:
        trusted = TrustedDocuments(settings.trusted_documents, settings.trusted_manifest, engine.documents.errors)
    automatic = AutomaticQueries(settings.persisted_queries) if settings.persisted_queries else None
    return NamedDocuments(trusted, automatic, None if shared is None else shared.queries)


def _say(settings: Settings) -> None:
    """Log which systems are there, and what in the environment is no setting."""
    for system in System:
        if system in settings.configured:
            log.info("%s: %s", system.title, settings.configured[system].url)
        else:
            log.warning("%s has no URL and is left out: its fields answer null", system.title)
    if not settings.sees_all_writes:
        log.warning("with several workers no answers are kept: one does not see the writes of another")
    if settings.trusted_manifest and settings.trusted_documents is TrustMode.OFF:
        log.warning("the trusted documents do nothing while PEOPLEGRAPH_TRUSTED_DOCUMENTS is off")
    for name, meant in unknown_variables():
        log.warning("%s is no setting%s", name, f"; is it {meant}?" if meant else "")
