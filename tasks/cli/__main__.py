"""`python -m tasks.cli` is `pizzeria` where the script is not on the PATH."""

from tasks.cli import main

main()
