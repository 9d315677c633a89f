"""Who may ask what: callers and their credentials, scopes, trusted documents, limits, and the audit log."""
