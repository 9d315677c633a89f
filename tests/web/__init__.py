"""Tests of peoplegraph.web."""
