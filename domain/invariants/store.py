"""What must be true of the store, and of what is bought for it."""

from domain.kernel.invariant import Invariant

_MOVED = """
WITH held AS (
    SELECT r.order_id, i.key AS ingredient_id,
        CASE WHEN r.state IN ('reserved', 'used') THEN -i.value::bigint ELSE 0 END AS quantity
    FROM reservations r, jsonb_each_text(r.ingredients) AS i
), moved AS (
    SELECT order_id, ingredient_id, sum(quantity) AS quantity FROM stock_movements
    WHERE order_id IS NOT NULL AND reason IN ('reserved', 'released') GROUP BY 1, 2
)
SELECT coalesce(h.order_id, m.order_id) || ': ' || coalesce(h.ingredient_id, m.ingredient_id)
    || ' moved by ' || coalesce(m.quantity, 0) || ', reserved ' || coalesce(-h.quantity, 0)
FROM held h FULL JOIN moved m USING (order_id, ingredient_id)
WHERE coalesce(h.quantity, 0) <> coalesce(m.quantity, 0)
"""

# An order that got ready while the subscription was being written may have gone to nobody.
_USED = """
SELECT o.id || ' is ' || o.status || ', its reservation ' || r.state
FROM orders o JOIN reservations r ON r.order_id = o.id
JOIN subscriptions s ON s.event_type = 'OrderReady' AND s.handler = 'inventory'
WHERE (r.state = 'used' AND o.ready_at IS NULL)
    OR (r.state = 'reserved' AND o.ready_at > s.since + interval '35 seconds'
        AND NOT EXISTS (SELECT FROM deliveries d JOIN events e USING (position)
            WHERE e.stream = 'order-' || o.id AND e.type = 'OrderReady'
            AND d.handler = 'inventory' AND d.state <> 'done'))
"""

_RECEIVED = """
SELECT coalesce(p.id, m.purchase_id) || ' of ' || coalesce(p.quantity, 0) || ' is ' || coalesce(p.state, 'no purchase')
    || ', came into the store as ' || coalesce(m.quantity, 0)
FROM purchases p FULL JOIN (
    SELECT purchase_id, sum(quantity) AS quantity FROM stock_movements
    WHERE purchase_id IS NOT NULL AND reason = 'received' GROUP BY 1
) m ON m.purchase_id = p.id
WHERE coalesce(m.quantity, 0) <> CASE WHEN p.state = 'received' THEN p.quantity ELSE 0 END
"""

_PURCHASED = """
SELECT coalesce(p.id, e.id) || ' was recorded ' || coalesce(e.ordered, 0) || ' times as ordered, '
    || coalesce(e.received, 0) || ' times as received, and is ' || coalesce(p.state, 'no purchase')
FROM purchases p FULL JOIN (
    SELECT (data ->> 'purchase_id')::bigint AS id, count(*) FILTER (WHERE type = 'PurchaseOrdered') AS ordered,
        count(*) FILTER (WHERE type = 'StockReceived') AS received
    FROM events WHERE type IN ('PurchaseOrdered', 'StockReceived') GROUP BY 1
) e ON e.id = p.id
WHERE coalesce(e.ordered, 0) <> 1 OR e.received <> CASE WHEN p.state = 'received' THEN 1 ELSE 0 END
"""

STOCK = (
    Invariant(
        "The stock ledger sums to what is in the store",
        "SELECT i.id || ' is ' || i.quantity || ', its movements say ' || coalesce(sum(m.quantity), 0)"
        " FROM ingredients i LEFT JOIN stock_movements m ON m.ingredient_id = i.id"
        " GROUP BY i.id HAVING i.quantity <> coalesce(sum(m.quantity), 0)",
    ),
    Invariant(
        "Stock never was below zero",
        "SELECT ingredient_id || ' was ' || min(quantity) FROM (SELECT ingredient_id,"
        "  sum(quantity) OVER (PARTITION BY ingredient_id ORDER BY id) AS quantity FROM stock_movements) m"
        " GROUP BY ingredient_id HAVING min(quantity) < 0",
    ),
    Invariant("What an order reserved has moved once, and what it released has come back", _MOVED),
    Invariant(
        "Every order that is made has its ingredients",
        "SELECT o.id || ' is ' || o.status || ', its reservation ' || coalesce(r.state, 'missing')"
        " FROM orders o LEFT JOIN reservations r ON r.order_id = o.id"
        " WHERE o.status NOT IN ('placed', 'cancelled') AND coalesce(r.state, '') NOT IN ('reserved', 'used')",
    ),
    Invariant("What is made has used its ingredients, and nothing else has", _USED, when_quiet=True),
    Invariant(
        "No cancelled order keeps ingredients",
        "SELECT o.id FROM orders o JOIN reservations r ON r.order_id = o.id"
        " WHERE o.status = 'cancelled' AND r.state = 'reserved'",
        when_quiet=True,
    ),
)

PROCUREMENT = (
    Invariant(
        "What is low is on its way",
        "SELECT i.id || ' is low until there are ' || i.low_until FROM ingredients i WHERE i.low_until IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM purchases p WHERE p.ingredient_id = i.id AND p.state = 'open')"
        " AND NOT EXISTS (SELECT FROM deliveries d WHERE d.handler = 'procurement' AND d.state <> 'done')",
        when_quiet=True,
    ),
    Invariant(
        "What there is enough of is not taken for low",
        "SELECT id || ' is ' || quantity || ', low until there are ' || low_until FROM ingredients"
        " WHERE low_until <= quantity",
    ),
    Invariant("Every purchase came into the store once, or is still open", _RECEIVED),
    Invariant("Every purchase was recorded as it was ordered and received", _PURCHASED),
    Invariant(
        "Every purchase was sent to its supplier by one mail",
        "SELECT e.type || ' ' || e.position || ' brought ' || count(m.key) || ' mails' FROM events e"
        " LEFT JOIN messages m ON m.purchase_id = (e.data ->> 'purchase_id')::bigint"
        "  AND split_part(m.key, ':', 1) = e.id::text"
        " WHERE e.type = 'PurchaseOrdered'"
        " AND NOT EXISTS (SELECT FROM deliveries d WHERE d.position = e.position AND d.state = 'pending')"
        " GROUP BY e.type, e.position HAVING count(m.key) <> 1",
        when_quiet=True,
    ),
)
