"""What a Valkey or Redis says of itself, and whether gateways can share it.

The fields are those of https://valkey.io/commands/info/ and https://redis.io/docs/latest/commands/info/.
"""

import re
from dataclasses import dataclass

OLDEST = (6, 2)
"""The first version that knows GETEX, and PXAT of SET."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, as its INFO has it; what that leaves out is as it should be."""

    run: str
    """Which process it is, and since which start."""
    uptime_s: int
    name: str
    version: tuple[int, ...]
    """The version of Redis that it is, or is like."""
    is_cluster: bool
    is_replica: bool
    drops_anything: bool
    """Whether it may drop what has no end of its own, when its memory is full."""

    @classmethod
    def of(cls, info: str) -> "Server":
        """Read what INFO returns."""
        fields = dict(row.strip().split(":", 1) for row in info.splitlines() if ":" in row)
        valkey, redis = fields.get("valkey_version", ""), fields.get("redis_version", "")
        return cls(
            run=fields.get("run_id", ""),
            uptime_s=int(fields.get("uptime_in_seconds", 0)),
            name=f"Valkey {valkey}" if valkey else f"Redis {redis}".strip(),
            version=tuple(map(int, re.findall(r"\d+", redis)[:2])),
            is_cluster=fields.get("redis_mode") == "cluster",
            is_replica=fields.get("role") == "slave",
            drops_anything=fields.get("maxmemory_policy", "").startswith("allkeys")
            and fields.get("maxmemory") != "0",
        )

    @property
    def unfit(self) -> str | None:
        """Why gateways cannot share it, if they cannot."""
        if self.version and self.version < OLDEST:
            return f"it is {self.name}, and must be like Redis {OLDEST[0]}.{OLDEST[1]} or newer"
        if self.is_cluster:
            return "it is a cluster, and its shards know nothing of each other's writes: use one primary"
        if self.is_replica:
            return "it is a replica, and takes no writes: use its primary"
        return None

    @property
    def risk(self) -> str | None:
        """What may go wrong with it, if anything may."""
        if self.drops_anything:
            return "it may drop who is in the group: set its maxmemory-policy to volatile-lru"
        return None
