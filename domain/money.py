"""Money, as precise as its currency is."""

from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import get_currency_precision

_KEPT = 2
"""Decimals that the tables keep."""


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to what can be paid in the currency: to cents, or where there are none, to the whole."""
    return amount.quantize(Decimal(1).scaleb(-min(get_currency_precision(currency), _KEPT)), ROUND_HALF_UP)


def cents(amount: Decimal, currency: str) -> int:
    """Give an amount in the currency's smallest unit."""
    return int(amount.scaleb(get_currency_precision(currency)))
