"""The outside world: a port for each service, with adapters for real, console and faulty use."""
