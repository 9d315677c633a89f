"""Tests of peoplegraph.graph."""
