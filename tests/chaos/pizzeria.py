"""The pizzeria as a house: what `pizzeria up` runs, and one handler more, which can be poisoned."""

import json
import shutil
from collections.abc import Mapping, Set
from pathlib import Path

from tasks.registry import registry
from tasks.workflow import PASS
from tests.acceptance.conftest import QUICK, Said, Shop
from tests.chaos import faults, poison
from tests.chaos.house import POSTGRES, REDIS, WEB, Findings, House, Order
from tests.conftest import copy_code, free_port, until

POISON = "poison"
RELAY = "relay"
_SETTINGS = QUICK | {"bake_seconds": 1, "drive_seconds": 1, "oven_capacity": 60, "drivers": 60, "stock": "ample"}
# All that is to be told, but what came so late that the order had overtaken it: that is held back, and its row says so.
_KEYS = """
SELECT e.id::text || ':' || handler AS key FROM events e JOIN orders o ON o.id = substr(e.stream, 7),
    (VALUES ('sms'), ('email')) AS h (handler)
WHERE (handler = 'sms' AND e.type IN
        ('OrderPlaced', 'OrderReady', 'OrderOutForDelivery', 'OrderDelivered', 'OrderCancelled'))
    OR (handler = 'email' AND e.type IN ('OrderPlaced', 'OrderCancelled') AND o.email IS NOT NULL)
EXCEPT SELECT key FROM messages WHERE state = 'aborted' AND starts_with(answer, 'overtaken by ')
"""
_UNFINISHED = """
SELECT (SELECT count(*) FROM orders WHERE status NOT IN ('delivered', 'cancelled')) + (SELECT count(*) FROM outbox)
    + (SELECT count(*) FROM deliveries WHERE state = 'pending')
"""
_ORDERS = """
SELECT id, coalesce(idempotency_key, ''), status, extract(epoch FROM placed_at)::float,
    extract(epoch FROM coalesce(delivered_at, cancelled_at))::float FROM orders
"""


class Ours(House):
    """The pizzeria. ``outside`` are the settings that lead it to the services outside."""

    name = "pizzeria"

    def __init__(self, folder: Path, outside: Mapping[str, object]) -> None:
        super().__init__(folder)
        self._outside = outside
        self._port = free_port()
        handlers = registry().in_use
        self.kinds = faults.for_pizzeria([*handlers, PASS], handlers)
        self.words = {
            **{queue: f"pizzeria worker {queue}" for queue in (*handlers, PASS, POISON)},
            WEB: "pizzeria web",
            RELAY: "pizzeria relay",
            POSTGRES: "bin/postgres",
            REDIS: "redis-server",
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        self.start_servers()
        self.points.mkdir()
        given = _SETTINGS | dict(self._outside) | self.settings | {"port": self._port, "flower_port": free_port()}
        env = {f"PIZZERIA_{name.upper()}": str(value) for name, value in given.items()}
        more = {"FAILPOINTS": str(self.points), "PYTHONPATH": str(self._tree()), "PYTHONSAFEPATH": "1"}
        self._shop = Shop(self.folder / "shop", env | more)
        self.ending.callback(self._shop.end)
        self._shop.open("--scale", "sms=2", "--scale", "inventory=2")

    def _tree(self) -> Path:
        """Copy the code, with the handler that can be poisoned."""
        tree = copy_code(self.folder / "tree")
        shutil.copy(poison.__file__, tree / "tasks" / "handlers" / f"{POISON}.py")
        return tree

    def orders(self) -> list[Order]:
        return [Order(*row) for row in self.rows(_ORDERS)]

    def unfinished(self) -> int:
        ((number,),) = self.rows(_UNFINISHED)
        return int(number)

    def mend(self) -> dict[str, int]:
        """Give the antidote, and have all that is parked delivered again."""
        (self._shop.home / poison.ANTIDOTE).touch()
        parked = dict(self.rows("SELECT handler, count(*) FROM deliveries WHERE state = 'parked' GROUP BY 1"))
        if parked:
            self._command("dead", "retry", "--all")
        return parked

    def _command(self, *words: str) -> Said:
        """Run a command until it succeeds."""
        said: list[Said] = []

        def succeeded() -> bool:
            said.append(self._shop.ask(*words))
            return said[-1].code == 0

        until(succeeded, 60, f"pizzeria {' '.join(words)}")
        return said[-1]

    def check(self) -> list[str]:
        said = self._shop.ask("check", "--json", seconds=300)
        if said.code == 0:
            return []
        if not said.out:
            return [said.err]
        found = json.loads(said.out)
        violated = [f"{i['title']}: {', '.join(i['examples'])}" for i in found["invariants"] if i["violations"]]
        return violated if found["quiet"] else [*violated, f"Not quiet: {found['pending']}"]

    def look(self, called: Set[str], findings: Findings) -> None:
        for (order_id,) in self.rows(
            "SELECT id FROM orders WHERE NOT EXISTS (SELECT FROM switches WHERE gateway = 'tasted-' || id)"
        ):
            findings.lost.append(f"{order_id} was never tasted")
        for stream, number in self.rows(
            "SELECT stream, count(*) FROM events WHERE type = 'OrderDelivered' GROUP BY 1 HAVING count(*) > 1"
        ):
            findings.duplicated.append(f"{stream} was delivered {number} times")
        for (key,) in self.rows(_KEYS):
            if key not in called:
                findings.lost.append(f"nobody was told of {key}")
        known = {str(row[0]) for row in self.rows("SELECT id FROM events")}
        findings.unexpected += [f"a message of no event: {key}" for key in called if key.partition(":")[0] not in known]
