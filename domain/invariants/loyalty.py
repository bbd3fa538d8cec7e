"""What must be true of points."""

from domain.kernel.invariant import Invariant

# Only where its delivery is done: what was delivered before there were points earned none, what is parked none yet.
_EARNED = """
SELECT e.stream || ' earned ' || coalesce(l.points::text, 'nothing')
FROM deliveries d JOIN events e USING (position)
JOIN orders o ON o.id = substr(e.stream, 7)
LEFT JOIN loyalty_entries l ON l.about = o.id AND l.reason = 'earned'
WHERE d.handler = 'loyalty' AND d.state = 'done' AND e.type = 'OrderDelivered'
    AND (l.points, l.customer_id) IS DISTINCT FROM (floor(o.total), o.customer_id)
UNION ALL
SELECT l.about || ' earned ' || l.points FROM loyalty_entries l LEFT JOIN orders o ON o.id = l.about
WHERE l.reason = 'earned' AND o.status IS DISTINCT FROM 'delivered'
"""

LOYALTY = (
    Invariant(
        "The ledger of points sums to the balances",
        "SELECT customer_id || ' has ' || coalesce(b.points, 0) || ', the entries say ' || coalesce(e.points, 0)"
        " FROM loyalty_balances b FULL JOIN"
        " (SELECT customer_id, sum(points) AS points FROM loyalty_entries GROUP BY customer_id) e USING (customer_id)"
        " WHERE coalesce(b.points, 0) <> coalesce(e.points, 0)",
    ),
    Invariant(
        "Nobody ever had fewer than no points",
        "SELECT customer_id || ' had ' || min(points) FROM (SELECT customer_id,"
        "  sum(points) OVER (PARTITION BY customer_id ORDER BY id) AS points FROM loyalty_entries) e"
        " GROUP BY customer_id HAVING min(points) < 0",
    ),
    Invariant("A delivered order has earned its points, once, and no other order has", _EARNED),
    Invariant(
        "What one customer gave, the other got",
        "SELECT coalesce(t.id, e.about) FROM loyalty_transfers t FULL JOIN"
        " (SELECT about, min(customer_id) FILTER (WHERE points = -size) AS sender,"
        "   min(customer_id) FILTER (WHERE points = size) AS recipient, max(size) AS points, count(*) AS lines"
        "  FROM (SELECT *, abs(points) AS size FROM loyalty_entries WHERE reason <> 'earned') l GROUP BY about) e"
        " ON e.about = t.id"
        " WHERE (t.sender, t.recipient, t.points, 2) IS DISTINCT FROM (e.sender, e.recipient, e.points, e.lines)",
    ),
)
