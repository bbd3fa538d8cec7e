"""The relay: what it publishes is committed, what it cannot publish is not forgotten, what was lost is sent again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from tasks.bus import outbox, sweep
from tasks.bus.relay import Message, Relay
from tests.integration.conftest import Shop
from tests.integration.probe import Probe, effect

pytestmark = pytest.mark.integration


@dataclass
class Witness:
    """A broker that looks, over a connection of its own, how the deliveries stand of which it is told."""

    shop: Shop
    away: bool = False
    seen: list[tuple[str, bool]] = field(default_factory=list)
    """Handler, and whether everybody can see that it was sent, of each message."""

    def publish(self, messages: Sequence[Message]) -> None:
        if self.away:
            raise ConnectionError("the broker is away")
        sent = "SELECT count(*) FROM deliveries WHERE handler = :handler AND position = ANY(:ids) AND sends > 0"
        for message in messages:
            visible = self.shop.value(sent, handler=message.handler, ids=list(message.positions))
            self.seen.append((message.handler, visible == len(message.positions)))

    def depths(self, handlers: Iterable[str]) -> Mapping[str, int]:
        return dict.fromkeys(handlers, 0)


@pytest.fixture
def broker(probe: Probe) -> Witness:
    return Witness(probe.shop)


def relay(broker: Witness) -> Relay:
    """A relay that has only just started, so that it measures and sweeps in its first turn."""
    return Relay(broker.shop.database, broker, announce=lambda _: None, beat=lambda: None)


def know_its_pace(probe: Probe) -> None:
    """Have the relay trust the handler to take any number of events, so that it sends what it fans out at once."""
    probe.shop.execute("INSERT INTO paces (handler, seconds_per_event) VALUES ('probe', 0.001)")


@pytest.mark.parametrize("known", [True, False], ids=["as it is fanned out", "when it is due"])
def test_nothing_is_published_before_it_is_committed(probe: Probe, broker: Witness, known: bool) -> None:
    probe.subscribe(effect)
    if known:
        know_its_pace(probe)
    probe.shop.order()
    once = relay(broker)
    once.turn()
    once.turn()
    assert broker.seen == [("probe", True)]


def test_what_was_fanned_out_is_sent_though_the_look_at_what_is_due_fails(
    probe: Probe, broker: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    know_its_pace(probe)
    probe.shop.order()

    def fail(*_: object) -> None:
        raise RuntimeError("no memory for this")

    monkeypatch.setattr(outbox, "dispatch", fail)
    with pytest.raises(RuntimeError):
        relay(broker).turn()
    assert broker.seen == [("probe", True)]


def test_what_is_new_is_sent_though_the_sweep_fails_every_time(
    probe: Probe, broker: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a lock that somebody holds")

    monkeypatch.setattr(sweep, "lost", fail)
    probe.subscribe(effect)
    know_its_pace(probe)
    probe.shop.order()
    relay(broker).turn()
    assert broker.seen == [("probe", True)]


def test_what_the_relay_fails_at_is_logged_with_its_origin_and_without_its_text(probe: Probe, broker: Witness) -> None:
    quoted = "Key (phone)=(+12125550199) already exists."

    def fail(_: object) -> None:
        failing.stopping.set()
        raise ValueError(quoted)

    probe.shop.order()
    failing = Relay(probe.shop.database, broker, announce=fail, beat=lambda: None)
    with capture_logs() as lines:
        failing.run()
    (line,) = lines
    assert (line["event"], line["error"], line.get("exc_info")) == ("relay_failed", "ValueError", None)
    assert "in fail" in line["where"]
    assert "5550199" not in str(lines)


def test_what_could_not_be_published_is_sent_as_soon_as_the_broker_is_back(probe: Probe, broker: Witness) -> None:
    probe.subscribe(effect)
    know_its_pace(probe)
    probe.shop.order()
    once = relay(broker)
    broker.away = True
    once.turn()
    (delivery,) = probe.deliveries()
    assert (delivery.dispatched_at, delivery.sends) == (None, 0)
    broker.away = False
    once.measure()
    once.turn()
    assert broker.seen == [("probe", True)]


def test_a_relay_sends_again_what_the_broker_has_lost(probe: Probe, broker: Witness) -> None:
    probe.subscribe(effect)
    probe.shop.order()
    probe.fan_out()
    probe.shop.execute(
        "UPDATE deliveries SET sends = 1, dispatched_at = now() - interval '60 s', not_before = now() - interval '60 s'"
    )
    relay(broker).turn()
    assert broker.seen == [("probe", True)]
    assert probe.deliveries()[0].sends == 2
