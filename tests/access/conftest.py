"""What tests of callers share."""

import json
from pathlib import Path

import pytest

from tests.access.callers import EC, RSA, jwks


@pytest.fixture
def jwks_file(tmp_path: Path) -> Path:
    """Return a file with the issuer's keys."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks(RSA, EC)))
    return path
