"""`python -m bench.growth.sample`: takes what is placed to the door, all in this process.

PIZZERIA_BUS must be memory, which has the oven bake without a chord.
"""

from domain.events import catalogue
from tasks.bus import inline
from tasks.database import database
from tasks.registry import registry

if __name__ == "__main__":
    inline.drain(database(), catalogue, registry())
