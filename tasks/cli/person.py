"""Who sits at the command line, for the audit."""

import getpass


def at_the_command_line() -> str:
    """Name the person who runs this command."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):  # a container may run as a user without a name
        return "somebody (command line)"
