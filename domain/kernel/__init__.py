"""Events, their log and the unit of work that records them. Knows no pizza."""
