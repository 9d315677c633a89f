"""What the command line's commands do; `peoplegraph.cli` parses for them."""
