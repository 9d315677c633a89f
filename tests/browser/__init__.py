"""The pages in a real browser, whose network ends at this machine."""
