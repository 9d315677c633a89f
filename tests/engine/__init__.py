"""The engine: compiled operations."""
