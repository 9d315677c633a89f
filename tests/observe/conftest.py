"""What tests of processes share."""

import pytest

from peoplegraph.sandbox import Blocks, Sandbox


@pytest.fixture
async def environment(sandbox: Sandbox, blocks: Blocks) -> dict[str, str]:
    """Return the settings of a gateway over the emulated systems."""
    assert not sandbox.ledger.calls
    settings = {
        f"PEOPLEGRAPH_{name}_{setting}".upper(): str(value)
        for name, block in blocks.items()
        for setting, value in block.items()
    }
    return {**settings, "PEOPLEGRAPH_COLLECTIONS_CACHE_TTL_S": "0", "PEOPLEGRAPH_LOG_FORMAT": "json"}
