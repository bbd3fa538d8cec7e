"""The peers: a file each, which wires the steps of `bench.job` with one library's own means and nothing else.

Each has ``place``, which saves an order and tells whoever is to work on it.
"""
