"""Python's collector of garbage, for processes that live long and make many small objects at once."""

import gc

_OBJECTS = 20_000
"""So many objects more than before, and the youngest are looked through; Python's own measure is 700."""
_YOUNG, _OLD = 20, 100


def collect_seldom() -> None:
    """Leave what is there by now out of every collection, and collect seldom. To be called when all is imported.

    A batch of events makes tens of thousands of objects that end with it, by being counted; looking through them, and
    now and then through every module there is, took a twelfth of a worker's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS, _YOUNG, _OLD)
