"""What must be true of the oven, and of the way from the pass to the door."""

from domain.kernel.invariant import Invariant

# Clocks of two hosts may differ a little; the second that is allowed for is far below any bake that matters.
_BAKED = """
SELECT o.id || ': ' || count(p.*) FILTER (WHERE p.state = 'baked' AND p.baked_at <= o.ready_at + interval '1 second')
    || ' pizzas baked before it was ready, ordered '
    || (SELECT sum((i ->> 'quantity')::int) FROM jsonb_array_elements(o.items) i)
FROM orders o LEFT JOIN ticket_pizzas p ON p.order_id = o.id
WHERE o.ready_at IS NOT NULL
GROUP BY o.id
HAVING count(p.*) <> (SELECT sum((i ->> 'quantity')::int) FROM jsonb_array_elements(o.items) i)
    OR count(p.*) <> count(p.*) FILTER (WHERE p.state = 'baked' AND p.baked_at <= o.ready_at + interval '1 second')
"""

# An order has its place from the firing of its last load (an earlier one, burnt, is left out: it cannot be told apart
# from an order that was given up and sent back) until it is ready.
_OVEN = """
WITH stays AS (
    SELECT t.order_id, max(l.fired_at) AS fired_at, min(o.ready_at) AS ready_at,
        (array_agg(l.capacity ORDER BY l.fired_at DESC))[1] AS capacity FROM tickets t
    JOIN orders o ON o.id = t.order_id
    JOIN ticket_pizzas p ON p.order_id = t.order_id
    JOIN oven_loads l ON l.id = p.load_id
    WHERE t.state = 'cooking' OR (t.state = 'done' AND o.ready_at IS NOT NULL)
    GROUP BY t.order_id
), changes AS (
    SELECT fired_at AS at, 1 AS change, capacity FROM stays
    UNION ALL SELECT ready_at, -1, NULL FROM stays WHERE ready_at IS NOT NULL
), load AS (
    SELECT at, capacity, sum(change) OVER (ORDER BY at, change) AS orders FROM changes
)
SELECT to_char(at, 'YYYY-MM-DD HH24:MI:SS.MS') || ': ' || orders || ' orders in an oven for ' || capacity
FROM load WHERE orders > capacity
"""

_TICKETS = """
SELECT o.id || ' is ' || o.status || ', its ticket ' || coalesce(t.state, 'missing')
FROM orders o LEFT JOIN tickets t ON t.order_id = o.id
WHERE coalesce(t.state, 'missing') <> ALL (CASE
    WHEN o.status IN ('ready', 'out_for_delivery', 'delivered') THEN ARRAY['done']
    WHEN o.status = 'cancelled' THEN ARRAY['cancelled']
    WHEN o.status = 'cooking' THEN ARRAY['cooking', 'failed', 'open']
    ELSE ARRAY['open'] END)
"""


KITCHEN = (
    Invariant("Ready only when every pizza was baked, each once", _BAKED),
    Invariant("The oven never held more orders than it had room for when they were fired", _OVEN),
    Invariant("Tickets agree with their orders", _TICKETS, when_quiet=True),
)


DELIVERY = (
    Invariant(
        "A driver carries one tour at a time",
        "SELECT order_id || ' and ' || next || ', driver ' || driver_id FROM ("
        "  SELECT order_id, driver_id, coalesce(delivered_at, 'infinity') AS back,"
        "   lead(departed_at) OVER tours AS leaves, lead(order_id) OVER tours AS next"
        "  FROM tours WHERE driver_id IS NOT NULL AND departed_at IS NOT NULL"
        "  WINDOW tours AS (PARTITION BY driver_id ORDER BY departed_at, delivered_at)) t WHERE leaves < back",
    ),
    Invariant(
        "Tours agree with their orders",
        "SELECT o.id || ' is ' || o.status || ', its tour ' || coalesce(t.state, 'missing')"
        " FROM orders o FULL JOIN tours t ON t.order_id = o.id"
        " WHERE coalesce(t.state, 'none') <> CASE o.status WHEN 'delivered' THEN 'delivered'"
        "  WHEN 'out_for_delivery' THEN 'out' WHEN 'ready' THEN 'waiting' ELSE 'none' END",
        when_quiet=True,
    ),
)
