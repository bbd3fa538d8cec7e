"""What must be true of payments and house accounts."""

from domain.kernel.invariant import Invariant

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
