"""Routers over the gateway and a second subgraph."""
