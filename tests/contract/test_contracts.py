"""The gate: what may change in an event and what may not; and stored samples of every version there ever was."""

import json
import shutil
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner, Result

from domain.events import OrderReady, catalogue
from domain.kernel import contract
from domain.kernel.event import Catalogue, Event
from tasks.cli import generate, main
from tests.contract.stored import without_later_fields

pytestmark = pytest.mark.unit

HERE = Path(__file__).parent
CONTRACTS = contract.read(generate.ROOT / generate.CONTRACTS)
SAMPLES = contract.read(HERE / "samples")
VERSIONS = [(name, version) for name, kind in catalogue.types.items() for version in range(1, kind.version + 1)]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    pieces: int = 1


class RetypedLine(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    pieces: str = "1"


class LongerLine(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    pieces: int = 1
    colour: str | None = None


BILL: dict[str, Any] = {
    "bill_id": (str,),
    "amount": (Decimal,),
    "kind": (Literal["cash", "card"],),
    "lines": (tuple[Line, ...],),
    "note": (str | None, None),
    "copies": (int, 1),
}


def bill(without: str = "", version: int = 1, doc: str = "A bill was paid.", **fields: Any) -> type[Event]:
    """Make the event BillPaid with some of its fields changed."""
    given = [(name, *how) for name, how in (BILL | fields).items() if name != without]
    attributes = {"__doc__": doc, "version": version, "stream": "bill", "key": "bill_id"}
    annotations = {"version": ClassVar[int], "stream": ClassVar[str], "key": ClassVar[str]}
    namespace = attributes | {"__annotations__": annotations}
    made = msgspec.defstruct("BillPaid", given, bases=(Event,), namespace=namespace, frozen=True, kw_only=True)
    return cast(type[Event], made)


def changed_to(kind: type[Event]) -> list[str]:
    return contract.differences("BillPaid", contract.schema(bill()), contract.schema(kind))


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (bill(without="amount"), "BillPaid.amount was removed"),
        (bill(without="note"), "BillPaid.note was removed"),
        (bill(amount=(str,)), 'BillPaid.amount was {"type": "string", "format": "decimal"} and is {"type": "string"}'),
        (bill(copies=(str, "1")), 'BillPaid.copies was "integer" and is "string"'),
        (bill(tip=(Decimal,)), "BillPaid.tip is new and required, which old events may lack"),
        (bill(note=(str | None,)), "BillPaid.note was optional and is required"),
        (bill(note=(str, "")), 'BillPaid.note was {"anyOf"'),
        (bill(amount=(Decimal | None,)), "BillPaid.amount was"),
        (bill(kind=(Literal["cash"],)), 'BillPaid.kind was ["card", "cash"] and is ["cash"]'),
        (bill(kind=(Literal["cash", "card", "cheque"],)), "BillPaid.kind was"),
        (bill(lines=(tuple[RetypedLine, ...],)), 'BillPaid.lines.pieces was "integer" and is "string"'),
        (bill(copies=(int, 2)), "BillPaid.copies left out meant 1 and means 2"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_change_that_old_events_or_old_code_cannot_bear_is_refused_in_a_sentence(
    kind: type[Event], sentence: str
) -> None:
    assert any(said.startswith(sentence) for said in changed_to(kind)), changed_to(kind)


@pytest.mark.parametrize(
    "kind",
    [
        bill(),
        bill(tip=(Decimal | None, None)),
        bill(lines=(tuple[LongerLine, ...],)),
        bill(amount=(Decimal, Decimal(0))),
        bill(doc="A bill was paid, at last."),
    ],
    ids=["nothing", "an optional field", "an optional field of a part", "a default for a field", "the description"],
)
def test_what_is_only_added_is_compatible(kind: type[Event]) -> None:
    assert changed_to(kind) == []


def problems(stored: Sequence[type[Event]], present: Sequence[type[Event]], *, upcasts: int | None = None) -> list[str]:
    code = Catalogue()
    for kind in present:
        code.register(kind)
    if upcasts:
        code.upcasts("BillPaid", upcasts)(lambda data: data)
    return contract.problems(code, {(kind.__name__, kind.version): contract.schema(kind) for kind in stored})


def test_a_breaking_change_is_a_new_version_that_keeps_the_old_contract_and_has_an_upcaster() -> None:
    old, new = bill(), bill(version=2, without="amount")
    assert problems([old, new], [new], upcasts=1) == []
    assert problems([old, new], [new]) == ["BillPaid has no upcaster from version 1 to 2."]
    (sentence,) = problems([new], [new], upcasts=1)
    assert sentence.startswith("BillPaid.v1.json is missing")


def test_an_event_that_was_published_is_neither_dropped_nor_turned_back() -> None:
    assert problems([bill()], []) == ["BillPaid has a contract and no class: the log may hold such events, so keep it."]
    assert problems([bill(), bill(version=2)], [bill()]) == [
        "BillPaid was at version 2 before and is at 1: versions only go up."
    ]


def test_every_event_of_the_pizzeria_keeps_to_its_contract() -> None:
    checked = CliRunner().invoke(main, ["describe", "--check"])
    assert (checked.exit_code, checked.output) == (0, "Every event keeps to its contract.\n")


class Changed:
    """A checkout of the sources in which OrderReady is another class."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / "pyproject.toml").touch()
        shutil.copytree(generate.ROOT / generate.CONTRACTS, root / generate.CONTRACTS)
        monkeypatch.setattr(generate, "ROOT", root)
        self.file = root / generate.CONTRACTS / "OrderReady.v1.json"
        self._monkeypatch = monkeypatch

    def run(self, kind: Any, *words: str) -> Result:
        self._monkeypatch.setitem(catalogue.types, "OrderReady", kind)
        return CliRunner().invoke(main, list(words))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Changed:
    return Changed(tmp_path, monkeypatch)


def test_a_removed_field_fails_the_check_and_its_contract_is_not_written_over(checkout: Changed) -> None:
    fields = [(f.name, f.type, f.default) for f in msgspec.structs.fields(OrderReady) if f.name != "preparation_time"]
    changed = msgspec.defstruct("OrderReady", fields, bases=(Event,), frozen=True, kw_only=True)
    before = checkout.file.read_text()
    checked = checkout.run(changed, "describe", "--check")
    assert (checked.exit_code, "OrderReady.preparation_time was removed" in checked.output) == (1, True)
    assert checkout.run(changed, "generate").exit_code == 1
    assert checkout.file.read_text() == before


def test_an_added_optional_field_passes_the_check_and_make_generate_writes_it_down(checkout: Changed) -> None:
    class OrderReadier(OrderReady, frozen=True, kw_only=True):
        oven: str | None = None

    OrderReadier.__name__ = OrderReadier.__qualname__ = "OrderReady"
    assert checkout.run(OrderReadier, "describe", "--check").exit_code == 0
    assert checkout.run(OrderReadier, "generate", "--check").exit_code == 1
    assert checkout.run(OrderReadier, "generate").exit_code == 0
    assert '"oven"' in checkout.file.read_text()
    assert checkout.run(OrderReadier, "generate", "--check").exit_code == 0


def test_every_version_there_ever_was_has_its_contract_and_its_sample() -> None:
    assert CONTRACTS.keys() == SAMPLES.keys() == {*VERSIONS}


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_a_stored_sample_keeps_to_its_contract(name: str, version: int) -> None:
    jsonschema.Draft202012Validator.check_schema(CONTRACTS[name, version])
    jsonschema.validate(SAMPLES[name, version], CONTRACTS[name, version])


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_a_stored_sample_is_read_as_the_present_event_and_nothing_in_it_is_lost(name: str, version: int) -> None:
    sample = SAMPLES[name, version]
    event = catalogue.decode(name, version, msgspec.json.encode(sample))
    present = msgspec.to_builtins(event)
    jsonschema.validate(json.loads(msgspec.json.encode(event)), CONTRACTS[name, event.version])
    assert type(event) is catalogue.types[name]
    if version == event.version:
        assert without_later_fields(json.loads(json.dumps(present)), sample) == sample
    else:
        assert {field: present[field] for field in sample if field != "items"} == {
            field: value for field, value in sample.items() if field != "items"
        }
