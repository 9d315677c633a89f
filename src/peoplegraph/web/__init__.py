"""What the gateway speaks to its callers: GraphQL over HTTP, and GraphiQL."""
