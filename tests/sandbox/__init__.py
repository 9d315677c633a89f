"""Tests of peoplegraph.sandbox."""
