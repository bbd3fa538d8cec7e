"""Delivers every event to every handler that subscribes to it. Knows no pizza; can be lifted out as it is."""
