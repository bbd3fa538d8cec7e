"""Chaos for a minute: nothing is lost or done twice in the pizzeria, and hand-written Celery does lose orders."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import answer
from tests.chaos.faults import for_pizzeria
from tests.chaos.plan import draw
from tests.conftest import TREE

pytestmark = pytest.mark.acceptance

SEED, SECONDS, ORDERS, FAULTS = 7, 60, 240, 21
RECOVERY = 60
"""Seconds after each fault within which all that it could touch must be at an end."""


@contextlib.contextmanager
def running(folder: Path, *words: object) -> "Iterator[subprocess.Popen[str]]":
    """Start a run, which ends with the block; what it leaves behind when something is lost is in the folder."""
    command = [sys.executable, "-m", "tests.chaos", "--json", *map(str, words)]
    env = os.environ | {"TMPDIR": str(folder)}
    process = subprocess.Popen(command, cwd=TREE, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def reported(process: "subprocess.Popen[str]", seconds: float) -> tuple[int, dict[str, Any], str]:
    """Wait for the end; gives the exit code, the report, and what was said meanwhile."""
    said = answer(process, seconds, subprocess.Popen.terminate)
    assert said.out, said.err
    return said.code, json.loads(said.out), said.err


@pytest.mark.alone
def test_a_minute_of_every_kind_of_fault_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    with running(tmp_path, "--seed", SEED, "--seconds", SECONDS, "--orders", ORDERS, "--faults", FAULTS) as run:
        code, report, said = reported(run, 300)
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
    with contextlib.ExitStack() as ending:
        houses = [running(tmp_path, "--baseline", acknowledges, *plan) for acknowledges in ("early", "late")]
        for run in [ending.enter_context(house) for house in houses]:
            code, report, said = reported(run, 360)
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
