"""Customers for a trial: they order over HTTP, insist on an answer, and watch their orders until they are done."""
