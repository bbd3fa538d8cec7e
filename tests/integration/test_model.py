"""A state machine over domain and ledger: whatever happens in whatever order, in the end every invariant holds."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from domain import inventory, orders, procurement
from domain.basket import InvalidOrderError, Line
from domain.kernel import clock
from domain.kernel.failpoint import FailPoint
from domain.placing import KeyReusedError
from tasks import workflow
from tasks.bus import dead
from tasks.bus.dead import Chosen
from tasks.bus.relay import Message
from tests.integration.conftest import Shop
from tests.integration.model import ending, slate
from tests.integration.model.accidents import ACCIDENTS
from tests.integration.model.world import World

pytestmark = pytest.mark.integration

T = TypeVar("T")

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
"""So many examples, other ones each time; by default few, and always the same."""
STEPS = 40
THOROUGH = settings(
    max_examples=EXAMPLES or 25,
    stateful_step_count=STEPS,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

some = st.integers(0, 999)
"""Chooses one of those there are: by number, so that what is drawn never depends on what the clock has done."""
HANDLERS = ("kitchen", "inventory", "procurement", "delivery", "analytics", "email")
PAUSES = st.sampled_from([0, 1, 11, 36])
"""Seconds: none, a retry's, longer than a bake or a drive, longer than a lease or a claim."""
LINES = (
    (Line(pizza="margherita", size="small", quantity=1),),
    (Line(pizza="diavola", size="medium", quantity=2),),
    (Line(pizza="margherita", size="large", quantity=2), Line(pizza="diavola", size="small", quantity=1)),
)


def one_of(things: Sequence[T], number: int) -> list[T]:
    """Give one of the things there are, or none where there is none."""
    return [things[number % len(things)]] if things else []


class Model(RuleBasedStateMachine):
    """Every rule is one thing that one process does, or one thing that happens to all of them."""

    shop: Shop

    def __init__(self) -> None:
        super().__init__()
        slate.wipe(self.shop)
        clock.reset()
        self.world = World(self.shop)
        self.patch = pytest.MonkeyPatch()
        accidents, broker = self.world.accidents, self.world.broker
        self.patch.setattr(FailPoint, "reach", lambda point: accidents.strike(point))
        self.patch.setattr(workflow, "start", broker.start)
        self.patch.setattr(workflow, "is_behind", broker.is_behind)
        self.placed: list[str] = []
        self.keys: dict[str, tuple[str, int, bool]] = {}
        self.cancelled: set[str] = set()

    @initialize(first=st.lists(st.tuples(some, st.booleans()), min_size=2, max_size=4))
    def the_shop_opens(self, first: list[tuple[int, bool]]) -> None:
        for what, pickup in first:
            self.a_customer_orders(what, pickup)

    @rule(what=some, pickup=st.booleans())
    def a_customer_orders(self, what: int, pickup: bool) -> None:
        key = f"key {len(self.placed)}"
        try:
            order_id = self._order(key, what, pickup)
        except InvalidOrderError as invalid:
            if "sold out" not in str(invalid):
                raise
            return
        self.placed.append(order_id)
        self.keys[key] = (self.placed[-1], what, pickup)

    @rule(which=some)
    def a_customer_sends_an_order_again(self, which: int) -> None:
        for key, (order_id, what, pickup) in one_of(list(self.keys.items()), which):
            assert self._order(key, what, pickup) == order_id
            with pytest.raises(KeyReusedError):
                self._order(key, what, not pickup)

    @rule(which=some)
    def a_customer_cancels(self, which: int) -> None:
        for order_id in one_of(self.placed, which):
            try:
                with self.shop.database.begin("cancel") as work:
                    orders.cancel(work, order_id, "Changed my mind.", "customer")
            except orders.TooLateError:
                assert order_id not in self.cancelled
            else:
                self.cancelled.add(order_id)

    @rule(rounds=st.integers(1, 4), pause=PAUSES)
    def life_goes_on(self, rounds: int, pause: int) -> None:
        for _ in range(rounds):
            self.world.go_round()
            self.world.wait(pause)

    @rule(what=some, pickup=st.booleans(), handler=st.sampled_from(HANDLERS))
    def a_handler_is_away_and_then_takes_the_newest_first(self, what: int, pickup: bool, handler: str) -> None:
        self.a_customer_orders(what, pickup)
        for _ in range(3):
            self.world.go_round(idle=handler)
        self.world.go_round(backwards=True)

    @rule(accident=st.sampled_from(ACCIDENTS), what=some, pickup=st.booleans(), pause=PAUSES)
    def an_accident_happens_on_an_orders_way(
        self, accident: tuple[str, str], what: int, pickup: bool, pause: int
    ) -> None:
        self.a_customer_orders(what, pickup)
        self.world.accidents.arm(*accident)
        self.life_goes_on(2, pause)

    @rule(accident=st.sampled_from(ACCIDENTS))
    def an_accident_is_about_to_happen(self, accident: tuple[str, str]) -> None:
        self.world.accidents.arm(*accident)

    @rule()
    def a_relay_goes_round(self) -> None:
        self.world.relay()

    @rule(which=some, copied=st.booleans())
    def a_worker_takes_any_message(self, which: int, copied: bool) -> None:
        for waiting in one_of(self.world.broker.ready, which):
            self.world.work(waiting, copied=copied)

    @rule(which=some, others=st.lists(some, max_size=3))
    def a_worker_gets_a_message_that_no_relay_sent(self, which: int, others: list[int]) -> None:
        every = self.shop.rows("SELECT handler, position FROM deliveries ORDER BY position, handler")
        for handler, position in one_of(every, which):
            same = [each.position for each in every if each.handler == handler]
            mixed = [position, *(each for number in others for each in one_of(same, number))]
            self.world.deliver(Message(handler, mixed))

    @rule(which=some, other=some)
    def the_oven_bakes_a_part(self, which: int, other: int) -> None:
        for chord in one_of(self.world.broker.chords, which):
            for part in one_of(chord.parts, other):
                self.world.bake(chord, part)

    @rule(which=some)
    def the_pass_plates_a_load_whether_or_not_it_is_baked(self, which: int) -> None:
        for load in one_of(self.shop.rows("SELECT id FROM oven_loads ORDER BY fired_at, id"), which):
            self.world.plate(load.id)

    @rule()
    def the_kitchen_looks_for_room(self) -> None:
        self.world.tend()

    @rule(pause=PAUSES)
    def the_broker_forgets_everything(self, pause: int) -> None:
        self.world.broker.lose()
        self.world.wait(pause)

    @rule(away=st.booleans())
    def the_broker_goes_or_comes(self, away: bool) -> None:
        self.world.broker.away = away

    @rule(gateway=st.sampled_from(["sms", "email", "oven"]), fails=st.booleans())
    def a_service_fails_or_is_well(self, gateway: str, fails: bool) -> None:
        self.world.switch(gateway, "faulty" if fails else None)

    @rule(handler=st.sampled_from(HANDLERS), rounds=st.integers(1, 3))
    def a_handler_has_a_bug_for_a_while(self, handler: str, rounds: int) -> None:
        self.world.broken.add(handler)
        self.life_goes_on(rounds, 5)
        self.world.broken.clear()

    @rule()
    def what_was_parked_is_tried_again(self) -> None:
        dead.retry(self.shop.database, Chosen(), "the model")

    @rule(left=st.sampled_from([0, 50, 500]))
    def most_of_the_salami_is_thrown_away(self, left: int) -> None:
        there = self.shop.value("SELECT quantity FROM ingredients WHERE id = 'salami'")
        if there > left:
            with self.shop.database.begin("waste") as work:
                inventory.waste(work, "salami", there - left)

    @rule(which=some)
    def a_purchase_comes(self, which: int) -> None:
        for purchase in one_of(self.shop.rows("SELECT id, state FROM purchases ORDER BY id"), which):
            try:
                with self.shop.database.begin("receive") as work:
                    procurement.receive(work, purchase.id, "the model")
            except procurement.ReceivedBeforeError:
                assert purchase.state == "received"
            else:
                assert purchase.state == "open"

    def teardown(self) -> None:
        try:
            ending.settle(self.world)
            ending.check(self.world, self.placed, self.cancelled)
        finally:
            self.patch.undo()

    def _order(self, key: str, what: int, pickup: bool) -> str:
        (lines,) = one_of(LINES, what)
        fulfilment, address = ("pickup", None) if pickup else ("delivery", "1 Analytical Row")
        return self.shop.order(*lines, key=key, fulfilment=fulfilment, address=address).id


@pytest.fixture
def narrow_shop(shop: Shop, configure: Callable[..., None]) -> Iterator[Shop]:
    """A shop where orders wait for each other: little room in the oven, one driver, and everything takes its time."""
    configure(bus="celery", bake_seconds=10, drive_seconds=10, oven_capacity=2, drivers=1)
    slate.keep(shop)
    yield shop
    clock.reset()


def test_whatever_happens_in_whatever_order_every_invariant_holds_in_the_end(narrow_shop: Shop) -> None:
    class OnThisShop(Model):
        shop = narrow_shop

    run_state_machine_as_test(OnThisShop, settings=THOROUGH)
