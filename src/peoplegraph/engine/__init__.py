"""Compiled execution of GraphQL operations over any Strawberry schema."""
