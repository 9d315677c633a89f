"""Scopes: what a caller may do, named as its key or its token names it."""

from collections.abc import Mapping
from enum import StrEnum

from peoplegraph.systems import System


class Scope(StrEnum):
    """One thing that a caller may do."""

    REPRESENTATIVES_READ = "representatives:read"
    REPRESENTATIVES_WRITE = "representatives:write"
    ASSIGNEES_READ = "assignees:read"
    ASSIGNEES_WRITE = "assignees:write"
    REPS_READ = "reps:read"
    REPS_WRITE = "reps:write"
    INTROSPECTION = "introspection"
    """Read the schema over GraphQL, and be told what may have been meant, where the gateway does so for nobody."""
    ADHOC = "adhoc"
    """Send documents that are not trusted, where the gateway enforces that all are."""

    EXPLAIN = "explain"
    """Be told which upstream calls an operation may make, and made, where the gateway does so for nobody."""
    METRICS = "metrics"
    """Read the metrics, where the gateway shows them to nobody."""

    __hash__ = str.__hash__
    """Enum's own hashes the name, in Python, and scopes are looked up in each request."""


SYSTEMS: Mapping[str, System] = {
    "representatives": System.COLLECTIONS,
    "assignees": System.DISPUTES,
    "reps": System.RPM,
}
"""What the scopes of that name are about."""

DATA = tuple(scope for scope in Scope if ":" in scope)
"""The scopes that let records be read and written."""
