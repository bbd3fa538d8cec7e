"""A baseline as a house: the same servers, proxies, client and faults, around code written by hand."""

import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from tests.chaos import faults
from tests.chaos.house import POSTGRES, REDIS, WEB, Findings, House, Order
from tests.conftest import free_port, until

_WORKER = "worker"
_TABLES = (
    "CREATE TABLE orders (id text PRIMARY KEY, key text UNIQUE, status text NOT NULL DEFAULT 'placed',"
    " placed_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)",
    "CREATE TABLE effects (order_id text, what text)",
)
_EFFECTS = """
SELECT o.id, w.what, (SELECT count(*) FROM effects e WHERE e.order_id = o.id AND e.what = w.what)
FROM orders o, unnest(ARRAY['inventory', 'sms', 'email', 'analytics', 'baked', 'delivery']) AS w (what)
WHERE o.status = 'delivered'
"""


class Baseline(House):
    """Celery by hand: ``early`` with its defaults, ``late`` with messages acknowledged late."""

    def __init__(self, folder: Path, acknowledges: str) -> None:
        super().__init__(folder)
        self.name = f"baseline, acknowledged {acknowledges}"
        self._acknowledges = acknowledges
        self._port = free_port()
        self.kinds = faults.for_all([_WORKER])
        self.words = {_WORKER: "baselines.app worker", WEB: "gunicorn", POSTGRES: "bin/postgres", REDIS: "redis-server"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def open(self) -> None:
        self.start_servers()
        with psycopg.connect(self.database_url) as connection:
            for table in _TABLES:
                connection.execute(table)
        given = {"home": self.folder / "baseline", "port": self._port, **self.settings}
        env = {f"PIZZERIA_{name.upper()}": str(value) for name, value in given.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.baselines"],
            env=os.environ | env | {"BASELINE": self._acknowledges},
            stdout=subprocess.DEVNULL,
        )
        self.ending.callback(self._end)
        until(self._is_ready, 60, "the baseline's web server")

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=2):
                return True
        except (OSError, URLError):
            return False

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(60)

    def orders(self) -> list[Order]:
        columns = "id, key, status, extract(epoch FROM placed_at)::float, extract(epoch FROM finished_at)::float"
        return [Order(*row) for row in self.rows(f"SELECT {columns} FROM orders")]

    def unfinished(self) -> int:
        ((number,),) = self.rows("SELECT count(*) FROM orders WHERE finished_at IS NULL")
        return int(number)

    def look(self, called: Set[str], findings: Findings) -> None:
        """Look whether each order that was delivered had everything done for it, once."""
        for order_id, what, times in self.rows(_EFFECTS):
            if times == 0:
                findings.lost.append(f"{order_id} was delivered without {what}")
            elif times > 1:
                findings.duplicated.append(f"{order_id} had {what} done {times} times")
