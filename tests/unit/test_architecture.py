"""The contracts that import-linter checks name every module there is."""

import pkgutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

import domain
import tasks

pytestmark = pytest.mark.unit

CONTRACTS: list[dict[str, Any]] = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def _forbidden_to(source: str) -> set[str]:
    (contract,) = (c for c in CONTRACTS if c["source_modules"] == [source])
    return set(contract["forbidden_modules"])


def _modules(package: Any) -> set[str]:
    return {f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)}


def test_the_kernel_may_import_nothing_else_of_the_domain() -> None:
    assert _modules(domain) - {"domain.kernel"} <= _forbidden_to("domain.kernel")


def test_the_bus_may_import_nothing_but_the_kernel() -> None:
    others = (_modules(domain) - {"domain.kernel"}) | (_modules(tasks) - {"tasks.bus"})
    assert others <= _forbidden_to("tasks.bus")
