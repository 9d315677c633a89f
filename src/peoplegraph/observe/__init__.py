"""What is to be seen of a gateway that runs: metrics, events, spans, and how its event loop is."""
