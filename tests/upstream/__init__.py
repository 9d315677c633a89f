"""Tests of peoplegraph.upstream."""
