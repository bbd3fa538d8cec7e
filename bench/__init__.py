"""How fast orders get to the door: our pipeline against the same job in Celery, written by hand."""
