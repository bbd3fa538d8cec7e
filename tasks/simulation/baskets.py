"""Random baskets from a shop's own menu; the same seed gives the same baskets."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

Body = dict[str, Any]

_NAMES = ("Ada", "Bruno", "Carla", "Dino", "Elena", "Franca", "Gino", "Ines", "Luca", "Marta", "Nico", "Olga", "Pia")
_STREETS = ("Main St", "Oak Ave", "Mill Lane", "Station Rd", "Church St", "Harbour Row")
_AREAS = (202, 212, 213, 305, 312, 415, 512, 617, 702, 718)
_PICKUPS = 0.25


class Baskets:
    """What customers order: one to three lines of what is not sold out, three of four to be delivered, paid in cash."""

    def __init__(self, menu: Mapping[str, Any], seed: int) -> None:
        """Read a menu as ``/api/menu`` gives it. Raises ValueError when nothing on it can be ordered."""
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._pizzas: Sequence[tuple[str, Sequence[str]]] = [
            (pizza["id"], sizes)
            for pizza in menu["pizzas"]
            if (sizes := sorted(set(pizza["prices"]) - set(pizza.get("sold_out_sizes", ())))) and not pizza["sold_out"]
        ]
        self._toppings = [topping["id"] for topping in menu["toppings"]]
        if not self._pizzas:
            raise ValueError("Nothing on the menu can be ordered.")

    def next(self) -> Body:
        """Make the next order's body."""
        chance = self._random
        name = chance.choice(_NAMES)
        customer = {"name": name, "phone": self._phone()}
        if chance.random() < 0.5:
            customer["email"] = f"{name.lower()}.{chance.randrange(10**6)}@example.com"
        body: Body = {"customer": customer, "fulfilment": "delivery", "payment": "cash"}
        if chance.random() < _PICKUPS:
            body["fulfilment"] = "pickup"
        else:
            body["address"] = f"{chance.randint(1, 200)} {chance.choice(_STREETS)}"
        body["items"] = [self._line() for _ in range(chance.choice((1, 1, 2, 3)))]
        return body

    def _line(self) -> Body:
        chance = self._random
        pizza, sizes = chance.choice(self._pizzas)
        toppings = chance.sample(self._toppings, min(len(self._toppings), chance.choice((0, 0, 1, 2))))
        return {
            "pizza": pizza,
            "size": chance.choice(sizes),
            "quantity": chance.choice((1, 1, 1, 2)),
            "toppings": toppings,
        }

    def _phone(self) -> str:
        """Make a number that is valid in North America; 555 is never given to a subscriber."""
        return f"+1{self._random.choice(_AREAS)}555{self._random.randint(1000, 9999)}"
