"""Several gateways over one store, a real Valkey or Redis."""
