"""The till: those who come at the same time are saved together."""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from domain.basket import InvalidOrderError, NewOrder
from domain.customers import Contact
from domain.orders import Order
from domain.placing import Incoming, Outcome
from tests.conftest import until
from web import till
from web.till import NotTogetherError, Till, UnansweredError

pytestmark = pytest.mark.unit


class Saving:
    """Saves nothing, once it is let; gives an order for each key."""

    def __init__(self, outcomes: Callable[[Sequence[Incoming]], Sequence[Outcome] | None] = lambda _: None) -> None:
        self.batches: list[str] = []
        self.go = threading.Event()
        self._outcomes = outcomes

    def __call__(self, incoming: Sequence[Incoming]) -> Sequence[Outcome]:
        self.batches.append("".join(str(asked.key) for asked in incoming))
        assert self.go.wait(10)
        return self._outcomes(incoming) or [(order_of(str(asked.key)), True) for asked in incoming]


@cache
def order_of(key: str) -> Order:
    """Give the order that is saved for a key."""
    return cast(Order, f"the order {key}")


def asked(key: str) -> Incoming:
    new = NewOrder(contact=Contact("Ada", "+12125550101"), fulfilment="pickup", payment="cash", lines=())
    return Incoming(new, key, f"correlation of {key}")


class StoppedError(BaseException):
    """As gevent stops a worker's greenlet."""


class Person(threading.Thread):
    """Somebody who comes to the till; a daemon, for whoever waits for ever must fail a test and not hang it."""

    def __init__(self, one: Till, key: str) -> None:
        super().__init__(daemon=True)
        self._one, self._key = one, key
        self._got: list[object] = []
        self.start()

    def run(self) -> None:
        try:
            order, _ = self._one.place(asked(self._key))
        except BaseException as error:
            self._got.append(error)
        else:
            self._got.append(order)

    def got(self) -> object:
        """Give the order, or what was raised."""
        return until(lambda: self._got, 10)[0]


def all_at_once(saving: Saving, keys: str) -> list[object]:
    """Have the first come alone and the others while it is being saved; gives what each got."""
    one = Till(saving)
    people = [Person(one, keys[0])]
    until(lambda: saving.batches, 5)
    people += [Person(one, key) for key in keys[1:]]
    until(lambda: len(one._waiting) == len(keys) - 1, 5)
    saving.go.set()
    return [person.got() for person in people]


def test_who_comes_alone_is_saved_alone() -> None:
    saving = Saving()
    saving.go.set()
    one = Till(saving)
    for key in "ab":
        assert Person(one, key).got() is order_of(key)
    assert saving.batches == ["a", "b"]


def test_those_who_come_while_one_is_saved_are_saved_together_and_each_gets_their_own() -> None:
    saving = Saving()
    assert all_at_once(saving, "abcdefgh") == [order_of(key) for key in "abcdefgh"]
    assert [len(batch) for batch in saving.batches] == [1, 7]


def test_no_transaction_is_larger_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till, "MOST", 3)
    saving = Saving()
    assert all_at_once(saving, "abcdefgh") == [order_of(key) for key in "abcdefgh"]
    assert [len(batch) for batch in saving.batches] == [1, 3, 3, 1]


def test_in_a_rush_it_waits_a_moment_for_as_many_as_came_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till, "GATHERING", 10)
    saving = Saving()
    saving.go.set()
    one = Till(saving)
    one._last = 3
    first = Person(one, "a")
    until(lambda: one._saving and not one._waiting, 5)
    second = Person(one, "b")
    until(lambda: len(one._waiting) == 1, 5)
    assert saving.batches == []
    third = Person(one, "c")
    assert [person.got() for person in (first, second, third)] == [order_of(key) for key in "abc"]
    assert [len(batch) for batch in saving.batches] == [3]


def test_what_speaks_against_one_order_is_its_own_trouble() -> None:
    def refuse(incoming: Sequence[Incoming]) -> Sequence[Outcome]:
        return [
            InvalidOrderError({"items": "Sold out."}) if each.key == "d" else (order_of(str(each.key)), True)
            for each in incoming
        ]

    *fine, refused, last = all_at_once(Saving(refuse), "abcde")
    assert [*fine, last] == [order_of(key) for key in "abce"]
    assert isinstance(refused, InvalidOrderError)


def test_where_something_is_in_the_way_all_that_shared_the_transaction_are_told_to_go_alone() -> None:
    def fail(incoming: Sequence[Incoming]) -> None:
        if any(each.key == "d" for each in incoming):
            raise ValueError("d cannot be saved")

    first, *others = all_at_once(Saving(fail), "abcde")
    assert first == order_of("a")
    assert {type(other) for other in others} == {NotTogetherError}


def test_a_database_that_is_away_is_everybodys_trouble_for_it_may_have_committed() -> None:
    def fail(incoming: Sequence[Incoming]) -> None:
        if len(incoming) > 1:
            raise OperationalError("COMMIT", None, OSError("gone"), connection_invalidated=True)

    first, *others = all_at_once(Saving(fail), "abcd")
    assert first == order_of("a")
    assert {type(other) for other in others} == {UnansweredError}


def test_if_whoever_saves_is_stopped_nobody_waits_for_ever() -> None:
    def stop(incoming: Sequence[Incoming]) -> None:
        if len(incoming) == 3:
            raise StoppedError

    first, *others = all_at_once(Saving(stop), "abcd")
    assert first == order_of("a")
    assert sorted(type(other).__name__ for other in others) == ["StoppedError", "UnansweredError", "UnansweredError"]


def test_if_whoever_waits_for_others_is_stopped_the_next_one_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise StoppedError

    saving = Saving()
    saving.go.set()
    one = Till(saving)
    with monkeypatch.context() as patched:
        patched.setattr(one, "_gather", stop)
        assert isinstance(Person(one, "a").got(), StoppedError)
    assert Person(one, "b").got() == order_of("b")
    assert saving.batches == ["b"]


def test_whoever_waits_too_long_leaves_and_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till, "PATIENCE", 0.2)
    one = Till(saving := Saving())
    first = Person(one, "a")
    until(lambda: saving.batches, 5)
    assert isinstance(Person(one, "b").got(), UnansweredError)
    saving.go.set()
    assert first.got() == order_of("a")
    assert Person(one, "c").got() == order_of("c")
    assert saving.batches == ["a", "c"]


def test_if_somebody_who_waits_is_stopped_those_behind_are_served() -> None:
    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise StoppedError

    one = Till(saving := Saving())
    first = Person(one, "a")
    until(lambda: saving.batches, 5)
    stopped = till._Waiting(asked("b"), Impatient())
    with one._guard:
        one._waiting.append(stopped)
    last = Person(one, "c")
    until(lambda: len(one._waiting) == 2, 5)
    with pytest.raises(StoppedError):
        one._wait(stopped)
    saving.go.set()
    assert [first.got(), last.got()] == [order_of("a"), order_of("c")]
    assert saving.batches == ["a", "c"]
