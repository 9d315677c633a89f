"""The audits of graphql-http, the reference of GraphQL over HTTP, against a gateway that runs."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from peoplegraph import create_app
from peoplegraph.sandbox import Blocks
from peoplegraph.sandbox.serving import serving
from tests.gateway import settings_for

AUDITS = Path(__file__).parents[1] / "audits"


async def test_every_audit_passes(blocks: Blocks) -> None:
    """MUST, SHOULD and MAY: there is no error, no warning and no notice."""
    node = shutil.which("node")
    if node is None or not (AUDITS / "node_modules").exists():
        pytest.skip("graphql-http is not installed: npm ci in tests/audits")
    async with serving((create_app(settings_for(blocks)),), "127.0.0.1", 0, lifespan="on") as (server,):
        process = await asyncio.create_subprocess_exec(
            node, str(AUDITS / "run.mjs"), f"{server.url}/graphql", stdout=PIPE, cwd=AUDITS
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    results = json.loads(out)
    assert len(results) >= 60
    assert [result for result in results if result["status"] != "ok"] == []
