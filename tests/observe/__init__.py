"""What is to be seen of a gateway that runs."""
