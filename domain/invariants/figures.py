"""What must be true of the figures."""

from domain.kernel.invariant import Invariant

_FIGURES = """
SELECT coalesce(o.id, m.order_id) || ' was ' || coalesce(o.total::text, 'never') || ', its figures say '
    || coalesce(m.order_value::text, 'nothing')
FROM orders o FULL JOIN order_metrics m ON m.order_id = o.id
WHERE (o.customer_id, o.total, o.placed_at, o.fulfilment, o.estimated_delivery_time)
    IS DISTINCT FROM (m.customer_id, m.order_value, m.order_time, m.fulfilment, m.promised_at)
    OR m.item_count <> (SELECT sum((i ->> 'quantity')::int) FROM jsonb_array_elements(o.items) i)
"""

_SOLD = """
SELECT coalesce(o.id, l.order_id) || ' has lines for ' || coalesce(o.subtotal::text, 'nothing')
    || ', its figures say ' || coalesce(l.revenue::text, 'nothing')
FROM orders o FULL JOIN (
    SELECT order_id, sum(revenue) AS revenue, min(order_time) AS first, max(order_time) AS last,
        jsonb_object_agg(line, jsonb_build_array(pizza, name, size, quantity)) AS sold
    FROM sales_lines GROUP BY order_id
) l ON l.order_id = o.id
WHERE (o.subtotal, o.placed_at, o.placed_at) IS DISTINCT FROM (l.revenue, l.first, l.last)
    OR l.sold <> (SELECT jsonb_object_agg(n, jsonb_build_array(i -> 'pizza', i -> 'name', i -> 'size', i -> 'quantity'))
        FROM jsonb_array_elements(o.items) WITH ORDINALITY AS lines (i, n))
"""

FIGURES = (
    Invariant("The figures know every order as it was placed", _FIGURES, when_quiet=True),
    Invariant("The figures know every line of every order", _SOLD, when_quiet=True),
    Invariant(
        "The figures know how every order ended",
        "SELECT o.id || ' is ' || o.status || ', its figures say ' || coalesce(f.outcome, 'nothing')"
        " FROM orders o FULL JOIN order_outcomes f ON f.order_id = o.id"
        " WHERE f.outcome IS DISTINCT FROM CASE WHEN o.status IN ('delivered', 'cancelled') THEN o.status END",
        when_quiet=True,
    ),
    Invariant(
        "The figures know how long every order took",
        "SELECT coalesce(substr(e.stream, 7), f.order_id) FROM (SELECT * FROM events WHERE type = 'OrderReady') e"
        " FULL JOIN preparation_metrics f ON e.stream = 'order-' || f.order_id"
        " WHERE (e.data ->> 'preparation_time')::int IS DISTINCT FROM f.preparation_time",
        when_quiet=True,
    ),
)
