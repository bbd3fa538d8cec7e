"""What must be true of orders."""

from collections.abc import Mapping
from typing import Any

from domain.kernel.invariant import Invariant
from domain.orders import TERMINAL, TRANSITIONS
from domain.settings import Settings

_NEVER = ""
"""The state of an order that is not placed yet."""

_STEPS: Mapping[str, Any] = {
    "events": [kind.__name__ for kind, (before, _) in TRANSITIONS.items() for _ in before or (_NEVER,)],
    "before": [state for _, (before, _) in TRANSITIONS.items() for state in sorted(before) or (_NEVER,)],
    "after": [after for _, (before, after) in TRANSITIONS.items() for _ in before or (_NEVER,)],
}
_TERMINAL: Mapping[str, Any] = {
    "terminal": [kind.__name__ for kind, (_, after) in TRANSITIONS.items() if after in TERMINAL]
}

_FOLD = """
SELECT coalesce(o.id, f.id) || ' is ' || coalesce(o.status, 'no order')
    || ', its events say ' || coalesce(f.state, 'nothing')
FROM orders o FULL JOIN (
    SELECT substr(e.stream, 7) AS id, s.state FROM (
        SELECT DISTINCT ON (stream) stream, type FROM events
        WHERE type = ANY(CAST(:events AS text[])) ORDER BY stream, sequence DESC
    ) e JOIN (
        SELECT DISTINCT * FROM unnest(CAST(:events AS text[]), CAST(:after AS text[])) AS s (type, state)
    ) s USING (type)
) f USING (id)
WHERE o.status IS DISTINCT FROM f.state
"""

_LEGAL = """
WITH steps AS (
    SELECT * FROM unnest(CAST(:events AS text[]), CAST(:before AS text[]), CAST(:after AS text[]))
        AS s (type, before, after)
), taken AS (
    SELECT stream, type, lag(type) OVER (PARTITION BY stream ORDER BY sequence) AS previous
    FROM events WHERE type = ANY(CAST(:events AS text[]))
)
SELECT stream || ': ' || type || ' after ' || coalesce(previous, 'nothing') FROM taken t
WHERE NOT EXISTS (
    SELECT FROM steps s WHERE s.type = t.type
    AND s.before = coalesce((SELECT min(p.after) FROM steps p WHERE p.type = t.previous), '')
)
"""

_ENDS = """
SELECT stream || ': ' || string_agg(type, ', ' ORDER BY sequence) FROM events
WHERE stream LIKE 'order-%'
GROUP BY stream
HAVING count(*) FILTER (WHERE type = ANY(CAST(:terminal AS text[]))) > 1
    OR max(sequence) > min(sequence) FILTER (WHERE type = ANY(CAST(:terminal AS text[])))
"""

ORDERS = (
    Invariant("An order's state is what its events make of it", _FOLD, _STEPS),
    Invariant("Orders take only legal steps", _LEGAL, _STEPS),
    Invariant("An order ends once, and nothing happens to it afterwards", _ENDS, _TERMINAL),
    Invariant(
        "An idempotency key has one order",
        "SELECT min(id) || ' and ' || max(id) FROM orders WHERE idempotency_key IS NOT NULL"
        " GROUP BY idempotency_key HAVING count(*) > 1",
    ),
)

# Why an order may stand still although all is quiet: no room in the oven, a pizza given up, no driver, or the road.
STUCK = """
SELECT o.id || ' is ' || o.status FROM orders o
LEFT JOIN tickets t ON t.order_id = o.id
LEFT JOIN tours w ON w.order_id = o.id
CROSS JOIN (SELECT EXISTS (SELECT FROM switches WHERE gateway = 'oven' AND mode = 'out') AS is_out) oven
WHERE o.status NOT IN ('delivered', 'cancelled') AND NOT coalesce(CASE o.status
    WHEN 'placed' THEN t.state = 'open' AND t.stock_reserved AND t.paid AND t.priority IS NOT NULL
        AND (oven.is_out OR (SELECT count(*) FROM tickets c WHERE c.state = 'cooking') >= CAST(:capacity AS int))
    WHEN 'cooking' THEN t.state = 'failed' OR (t.state = 'open'
        AND (oven.is_out OR (SELECT count(*) FROM tickets c WHERE c.state = 'cooking') >= CAST(:capacity AS int)))
        OR (t.state = 'cooking' AND oven.is_out
            AND EXISTS (SELECT FROM ticket_pizzas p WHERE p.order_id = o.id AND p.state = 'waiting'))
        OR (t.state = 'cooking' AND EXISTS (
            SELECT FROM ticket_pizzas p JOIN oven_loads l ON l.id = p.load_id
            WHERE p.order_id = o.id AND p.state = 'baking' AND l.due_at > clock_timestamp()))
    WHEN 'ready' THEN w.state = 'waiting'
    WHEN 'out_for_delivery' THEN w.state = 'out' END, false)
"""


def stuck(settings: Settings) -> Invariant:
    """Give the invariant that no order stands still without a reason."""
    values = {"capacity": settings.oven_capacity}
    return Invariant("No order stands still without a reason", STUCK, values, when_quiet=True)
