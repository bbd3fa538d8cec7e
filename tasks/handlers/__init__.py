"""One file is one handler, one queue and one Celery task. Adding a handler is adding a file."""
