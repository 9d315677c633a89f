"""Stories that cross the systems, each with the upstream calls that it may make."""
