"""Answers' bodies, for every engine: how large they may be, and how content codings are undone."""

import zlib

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The largest body that is taken, as it is sent and as it is decoded."""

MAX_GZIP_MEMBERS = 16
"""Each takes a copy of what is behind it, and an empty one has 20 bytes."""

TOO_LARGE = f"sent more than {MAX_BODY_BYTES:,} bytes"


class Broken(Exception):
    """What came is not an answer that can be taken; the message says what is wrong with it."""


def decoded(body: bytes, coding: str) -> bytes:
    """Undo gzip or deflate; raises `Broken` for anything else, and for what grows beyond the bound."""
    coding = coding.strip().lower()
    if coding == "identity":
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Broken("sent a content coding that was not asked for")
    raw_deflate = coding == "deflate" and body[0] & 0x0F != zlib.DEFLATED
    plain = b""
    for _ in range(MAX_GZIP_MEMBERS):  # gzip may have several members (RFC 1952)
        decompressor = zlib.decompressobj(-zlib.MAX_WBITS if raw_deflate else zlib.MAX_WBITS | 32)
        try:
            plain += decompressor.decompress(body, MAX_BODY_BYTES + 1 - len(plain))
        except zlib.error:
            raise Broken("sent a compressed body that is broken") from None
        if len(plain) > MAX_BODY_BYTES:
            raise Broken(TOO_LARGE)
        if not decompressor.eof:
            raise Broken("sent a compressed body that is cut")
        body = decompressor.unused_data
        if not body:
            return plain
        if coding == "deflate":
            break
    raise Broken("sent a compressed body that is broken")
