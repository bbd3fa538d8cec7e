"""The till: who comes while an order is being saved is saved together with the others who came."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from domain.basket import NewOrder
from domain.customers import Contact
from domain.orders import Order
from domain.placing import Placed, Request
from tests.conftest import until
from web import till
from web.till import Till

pytestmark = pytest.mark.unit


class Saving:
    """Saves nothing, once it is let; gives an order for each key."""

    def __init__(self, fail: Callable[[Sequence[Request]], None] = lambda _: None) -> None:
        self.batches: list[list[str]] = []
        self.go = threading.Event()
        self._fail = fail

    def __call__(self, requests: Sequence[Request]) -> Sequence[Placed | Exception]:
        self.batches.append([str(request.key) for request in requests])
        assert self.go.wait(10)
        self._fail(requests)
        return [(order_of(str(request.key)), True) for request in requests]


@cache
def order_of(key: str) -> Order:
    """Give the order that is saved for a key."""
    return cast(Order, f"the order {key}")


def request(key: str) -> Request:
    new = NewOrder(contact=Contact("Ada", "+12125550101"), fulfilment="pickup", payment="cash", lines=())
    return Request(new, key, f"correlation of {key}")


def all_at_once(saving: Saving, keys: Sequence[str]) -> list[object]:
    """Have the first come alone and the others while it is being saved; gives what each got."""
    one = Till(saving)

    def come(key: str) -> object:
        try:
            order, _ = one.place(request(key))
        except Exception as error:
            return error
        return order

    with ThreadPoolExecutor(len(keys)) as people:
        first = people.submit(come, keys[0])
        until(lambda: saving.batches, 5)
        others = [people.submit(come, key) for key in keys[1:]]
        until(lambda: len(one._waiting) == len(others), 5)
        saving.go.set()
        return [someone.result(10) for someone in (first, *others)]


def test_an_order_alone_is_saved_at_once_and_by_itself() -> None:
    saving = Saving()
    saving.go.set()
    one = Till(saving)
    for key in "ab":
        assert one.place(request(key))[0] is order_of(key)
    assert saving.batches == [["a"], ["b"]]


def test_those_who_come_while_one_is_saved_are_saved_together_and_each_gets_their_own() -> None:
    saving = Saving()
    assert all_at_once(saving, "abcdefgh") == [order_of(key) for key in "abcdefgh"]
    assert saving.batches[0] == ["a"]
    assert [len(batch) for batch in saving.batches] == [1, 7]


def test_no_batch_is_larger_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(till, "MOST", 3)
    saving = Saving()
    assert all_at_once(saving, "abcdefgh") == [order_of(key) for key in "abcdefgh"]
    assert max(len(batch) for batch in saving.batches) == 3


def test_what_one_order_does_wrong_is_its_own_trouble() -> None:
    def fail(requests: Sequence[Request]) -> None:
        if any(request.key == "d" for request in requests):
            raise ValueError("d cannot be saved")

    *fine, wrong, last = all_at_once(Saving(fail), "abcde")
    assert [*fine, last] == [order_of(key) for key in "abce"]
    assert isinstance(wrong, ValueError)


def test_a_database_that_is_away_is_asked_once_for_all_of_them() -> None:
    def fail(requests: Sequence[Request]) -> None:
        if len(requests) > 1:
            raise OperationalError("COMMIT", None, OSError("gone"), connection_invalidated=True)

    saving = Saving(fail)
    first, *others = all_at_once(saving, "abcd")
    assert first == order_of("a")
    assert {type(error) for error in others} == {OperationalError}
    assert len(saving.batches) == 2


def test_if_whoever_saves_is_stopped_nobody_waits_for_ever() -> None:
    class StoppedError(BaseException):
        """As gevent stops a worker's greenlet."""

    def stop(requests: Sequence[Request]) -> None:
        if len(requests) > 1:
            raise StoppedError

    one = Till(saving := Saving(stop))
    outcomes: list[BaseException | Placed] = []

    def come(key: str) -> None:
        try:
            outcomes.append(one.place(request(key)))
        except BaseException as error:
            outcomes.append(error)

    people = [threading.Thread(target=come, args=(key,)) for key in "abcd"]
    people[0].start()
    until(lambda: saving.batches, 5)
    for person in people[1:]:
        person.start()
    until(lambda: len(one._waiting) == 3, 5)
    saving.go.set()
    for person in people:
        person.join(10)
    kinds = sorted(type(outcome).__name__ for outcome in outcomes)
    assert kinds == ["AbandonedError", "AbandonedError", "StoppedError", "tuple"]
    assert one.place(request("e"))[0] == order_of("e")
