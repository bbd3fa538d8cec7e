"""Chaos for a minute: nothing is lost or done twice in the pizzeria, and hand-written Celery does lose orders."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import TREE
from tests.chaos.faults import for_pizzeria
from tests.chaos.plan import draw

pytestmark = pytest.mark.acceptance

SEED, SECONDS, ORDERS, FAULTS = 7, 60, 240, 21
RECOVERY = 60
"""Seconds after each fault within which all that it could touch must be at an end."""


def begin(folder: Path, *words: object) -> "subprocess.Popen[str]":
    """Start a run; what it leaves behind when something is lost is in the folder."""
    command = [sys.executable, "-m", "tests.chaos", "--json", *map(str, words)]
    env = os.environ | {"TMPDIR": str(folder)}
    return subprocess.Popen(command, cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answer(process: "subprocess.Popen[str]", seconds: float) -> tuple[int, dict[str, Any], str]:
    """Wait for the end; gives the exit code, the report, and what was said meanwhile."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        out, err = process.communicate()
        pytest.fail(f"No end within {seconds} s: {err}")
    assert out, err
    return process.returncode, json.loads(out), err


@pytest.mark.alone
def test_a_minute_of_every_kind_of_fault_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    run = begin(tmp_path, "--seed", SEED, "--seconds", SECONDS, "--orders", ORDERS, "--faults", FAULTS)
    code, report, said = answer(run, 300)
    assert (report["problems"], code) == ([], 0), said
    assert report["attempted"] == report["acknowledged"] == ORDERS + 1, "the poisoned order is one more"
    assert report["delivered"] + report["cancelled"] == ORDERS + 1
    assert report["parked"]["poison"] == 1
    assert {service: calls["keys"] > 0 for service, calls in report["outside"].items()} == {"sms": True, "mail": True}
    often = {kind.name for kind in for_pizzeria(["sms"], ["sms"]) if kind.every < 2}
    assert set(report["faults"]) == often
    assert max(kind["max"] for kind in report["faults"].values()) < RECOVERY


def test_the_same_faults_make_hand_written_celery_lose_orders(tmp_path: Path) -> None:
    plan = ("--seed", 222, "--seconds", 10, "--orders", 300, "--faults", 4, "--patience", 6)
    runs = [begin(tmp_path, "--baseline", acknowledges, *plan) for acknowledges in ("early", "late")]
    for run in runs:
        code, report, said = answer(run, 120)
        assert (code, report["acknowledged"] > 0) == (1, True), said
        assert report["lost"] + report["duplicated"] > 0, said


def test_a_seed_has_one_plan_with_every_kind_of_fault_in_its_first_round() -> None:
    kinds = for_pizzeria(["sms", "oven"], ["sms"])
    plan = draw(SEED, SECONDS, ORDERS, FAULTS, kinds)
    assert plan == draw(SEED, SECONDS, ORDERS, FAULTS, kinds)
    assert plan.faults != draw(SEED + 1, SECONDS, ORDERS, FAULTS, kinds).faults
    assert {fault.kind for fault in plan.faults} == {kind.name for kind in kinds if kind.every < 2}
    ends = [fault.at + fault.seconds for fault in plan.faults]
    assert all(end <= later.at for end, later in zip(ends, plan.faults[1:], strict=False)), "they never overlap"
    assert ends[-1] <= SECONDS
