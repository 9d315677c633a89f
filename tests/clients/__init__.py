"""docs/clients.md, run: every snippet against a gateway."""
