"""Tests of peoplegraph.backends."""
