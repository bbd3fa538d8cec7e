"""What happens next: the bus, the handlers, the workflow and the command line. Imports domain."""
