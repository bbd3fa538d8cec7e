"""What the bench prints in the end."""

import json

import pytest

from bench import report

pytestmark = pytest.mark.unit


def test_a_result_is_shown_even_where_a_package_that_it_names_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "_PACKAGES", ("celery", "a-package-that-nobody-has"))
    report.show({"placed": 7}, True, str)
    shown = json.loads(capsys.readouterr().out)
    assert shown["placed"] == 7
    assert shown["machine"]["a-package-that-nobody-has"] == "not installed"

    report.show({"placed": 7}, False, lambda found: f"{found['placed']} placed")
    table, machine = capsys.readouterr().out.splitlines()
    assert table == "7 placed"
    assert "a-package-that-nobody-has not installed" in machine
