"""What must be true of the pizzeria: its orders, store, kitchen, tours, money, messages, figures and customers."""

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

_PAID = """
SELECT o.id || ' is ' || o.status || ', its payment ' || coalesce(p.state, 'missing')
FROM orders o LEFT JOIN payments p ON p.order_id = o.id
WHERE o.payment = 'card' AND coalesce(p.state, 'missing') <> ALL (CASE o.status
    WHEN 'placed' THEN ARRAY['missing', 'authorised', 'declined', 'unanswered', 'voided']
    WHEN 'cancelled' THEN ARRAY['missing', 'authorised', 'declined', 'unanswered', 'voided', 'refunded']
    WHEN 'delivered' THEN ARRAY['authorised', 'captured']
    ELSE ARRAY['authorised'] END)
"""

# What was parked is for people to mend: until then its money stands still.
_SETTLED = """
SELECT o.id || ' is ' || o.status || ', its payment ' || coalesce(p.state, 'missing')
FROM orders o LEFT JOIN payments p ON p.order_id = o.id
WHERE o.payment = 'card' AND NOT EXISTS (
    SELECT FROM deliveries d JOIN events e USING (position)
    WHERE d.handler = 'payments' AND d.state IN ('parked', 'discarded') AND e.stream = 'order-' || o.id
) AND coalesce(p.state, 'missing') <> ALL (CASE o.status
    WHEN 'cancelled' THEN ARRAY['declined', 'voided', 'refunded']
    WHEN 'delivered' THEN ARRAY['captured']
    ELSE ARRAY['authorised'] END)
"""

_SANDBOX = """
SELECT coalesce(p.order_id, c.key) || ': the pizzeria says ' || coalesce(p.state, 'nothing')
    || ', the payment service ' || coalesce(c.state, 'nothing')
FROM payments p FULL JOIN sandbox.charges c ON c.key = p.key
WHERE (c.state IS NULL AND p.reference LIKE 'sandbox%')
    OR (c.state IN ('held', 'captured', 'voided', 'refunded') AND p.state IS DISTINCT FROM CASE c.state
        WHEN 'held' THEN 'authorised' ELSE c.state END)
"""

PAYMENTS = (
    Invariant("No order by card is made before its money is held", _PAID),
    Invariant("Every payment stands as its order does", _SETTLED, when_quiet=True),
    Invariant(
        "The postings of an order sum to zero",
        "SELECT order_id || ': ' || sum(cents) FROM postings GROUP BY order_id, why HAVING sum(cents) <> 0",
    ),
    Invariant(
        "What was captured or refunded is posted, once and whole",
        "SELECT p.order_id || ' is ' || p.state || ', posted ' || coalesce(sum(t.cents), 0)"
        " FROM payments p LEFT JOIN postings t ON t.order_id = p.order_id AND t.account = 'card'"
        " GROUP BY p.order_id HAVING (p.state = 'captured') <> (coalesce(sum(t.cents), 0) > 0)",
    ),
    Invariant("The sandbox's books say of every payment what ours say", _SANDBOX, when_quiet=True),
)

# A message's key is "event id:handler"; who was forgotten can no longer be written to.
_UNTOLD = """
SELECT e.type || ' ' || e.position || ' of ' || o.id || ' brought ' || count(m.key) || ' messages'
FROM events e
JOIN orders o ON o.id = substr(e.stream, 7)
LEFT JOIN messages m ON m.order_id = o.id AND m.channel = '{channel}' AND split_part(m.key, ':', 1) = e.id::text
WHERE e.type = '{event}' AND o.{contact} IS NOT NULL
    AND EXISTS (SELECT FROM personal_keys k WHERE k.person = o.customer_id)
    AND NOT EXISTS (SELECT FROM deliveries d WHERE d.position = e.position AND d.state = 'pending')
GROUP BY e.type, e.position, o.id HAVING count(m.key) <> 1
"""

# Of one that was tried and not answered nobody knows, nor of one that staff aborted after that.
_JOURNAL = """
SELECT coalesce(m.key, s.key) || ': the pizzeria says ' || coalesce(m.state, 'nothing')
    || ', the sandbox ' || coalesce(s.state, 'nothing')
FROM messages m FULL JOIN sandbox.messages s USING (key)
WHERE (m.state = 'sent' AND m.answer LIKE 'sandbox%' AND s.state IS DISTINCT FROM 'sent')
    OR (s.state = 'sent' AND m.state IS DISTINCT FROM 'sent' AND coalesce(m.attempts, 0) = 0)
"""

# Counted by key, of which an event has one for a handler: what staff had sent again is another message.
_ONCE = """
SELECT e.type || ' of ' || e.stream || ' was sent ' || count(*) || ' times by ' || s.channel
FROM sandbox.messages s JOIN events e ON e.id::text = split_part(s.key, ':', 1)
WHERE s.state = 'sent' AND (e.type, s.channel) IN (('OrderPlaced', 'email'), ('OrderReady', 'sms'))
GROUP BY e.type, e.stream, s.channel HAVING count(*) > 1
"""

MESSAGES = (
    Invariant(
        "Every order with an e-mail address has one confirmation mail",
        _UNTOLD.format(channel="email", event="OrderPlaced", contact="email"),
        when_quiet=True,
    ),
    Invariant(
        "Every order that got ready has one text message about it",
        _UNTOLD.format(channel="sms", event="OrderReady", contact="phone"),
        when_quiet=True,
    ),
    Invariant(
        "Every message was caused by an event, each once for a handler",
        "SELECT m.key FROM messages m LEFT JOIN events e ON e.id::text = split_part(m.key, ':', 1) WHERE e.id IS NULL",
    ),
    Invariant(
        "The sandbox has sent every message that we say it has, and only what we asked for", _JOURNAL, when_quiet=True
    ),
    Invariant("The sandbox has sent one confirmation mail for an order, and one text that it is ready", _ONCE),
    Invariant(
        "Messages that the sandbox was asked for more than once, and sent once",
        "SELECT key || ' was asked for ' || asked || ' times' FROM sandbox.messages WHERE asked > 1",
        is_report=True,
    ),
)

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

_ON_ACCOUNT = """
SELECT coalesce(o.id, e.about) || ' costs ' || coalesce(o.total::text, 'nothing') || ', its account was charged '
    || coalesce(e.amount::text, 'nothing')
FROM (SELECT * FROM orders WHERE payment = 'account') o
FULL JOIN (SELECT * FROM account_entries WHERE reason = 'charged') e ON e.about = o.id
WHERE (o.customer_id, o.total) IS DISTINCT FROM (e.customer_id, e.amount)
"""

_OWED = """
SELECT customer_id || ' owes ' || a.balance || ', the orders less what was paid say '
    || coalesce(o.total, 0) - coalesce(p.amount, 0)
FROM house_accounts a LEFT JOIN (
    SELECT customer_id, sum(total) AS total FROM orders WHERE payment = 'account' AND status <> 'cancelled' GROUP BY 1
) o USING (customer_id) LEFT JOIN (
    SELECT customer_id, -sum(amount) AS amount FROM account_entries WHERE reason = 'paid' GROUP BY 1
) p USING (customer_id)
WHERE a.balance <> coalesce(o.total, 0) - coalesce(p.amount, 0)
"""

ACCOUNTS = (
    Invariant(
        "The ledger of house accounts sums to what is owed",
        "SELECT customer_id || ' owes ' || a.balance || ', the entries say ' || coalesce(sum(e.amount), 0)"
        " FROM house_accounts a LEFT JOIN account_entries e USING (customer_id)"
        " GROUP BY customer_id HAVING a.balance <> coalesce(sum(e.amount), 0)",
    ),
    Invariant("What is put on an account is charged, once", _ON_ACCOUNT),
    Invariant(
        "Only cancelled orders are taken off an account",
        "SELECT e.about || ' is ' || coalesce(o.status, 'no order') FROM account_entries e"
        " LEFT JOIN orders o ON o.id = e.about"
        " WHERE e.reason = 'cancelled' AND (o.status, -o.total) IS DISTINCT FROM ('cancelled', e.amount)",
    ),
    Invariant("An account owes its open orders, less what was paid", _OWED, when_quiet=True),
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


def invariants(settings: Settings) -> tuple[Invariant, ...]:
    """Give all of them."""
    return (
        *ORDERS,
        stuck(settings),
        *STOCK,
        *PROCUREMENT,
        *KITCHEN,
        *DELIVERY,
        *PAYMENTS,
        *MESSAGES,
        *FIGURES,
        *LOYALTY,
        *ACCOUNTS,
    )
