"""Tests: through the front door where there is one, over real HTTP to the emulated systems."""
