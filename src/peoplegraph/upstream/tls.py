"""Whom the engines trust, and how they take up a session again."""

import ssl
from typing import Self

import certifi


class TlsContext(ssl.SSLContext):
    """A client's TLS context that resumes, host by host, the last session it had."""

    sessions: dict[str, ssl.SSLSession | None]

    @classmethod
    def trusting(cls, authority: str | None = None) -> Self:
        """Verify peers against the machine's and certifi's authorities, or against the one in a file."""
        context = cls(ssl.PROTOCOL_TLS_CLIENT)
        context.sessions = {}
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if authority is None:
            context.load_default_certs()
        context.load_verify_locations(authority or certifi.where())
        return context

    def wrap_bio(  # the signature is the standard library's
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection's TLS, resuming the session that the host gave last."""
        if session is None and isinstance(server_hostname, str):
            session = self.sessions.get(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
