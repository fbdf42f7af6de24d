"""What `deploy/` holds is built, started, rendered or held to what it names."""
