"""`python -m bench.http.serve APPLICATION`: another application under the very gunicorn settings of `pizzeria web`."""

import sys

from domain import logs
from domain.settings import settings
from tasks.cli.web import Server

if __name__ == "__main__":
    logs.configure("web")
    Server(settings(), sys.argv[1]).run()
