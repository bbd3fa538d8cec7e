"""What must be true of messages."""

from domain.kernel.invariant import Invariant

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
