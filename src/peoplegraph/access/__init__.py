"""Who may ask what: callers and their credentials, trusted documents, and limits."""
