"""Callers: keys, tokens, quotas, and trusted documents."""
