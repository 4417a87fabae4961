"""Each check of what starts at boot says what the one rule says."""

from __future__ import annotations

from copy import deepcopy
from datetime import date
from typing import Any, cast

import pytest

from kubenode.audit.checks.catalogue import CHECKS
from kubenode.audit.checks.check import Aim
from kubenode.audit.findings import judge_host
from kubenode.facts.node import NodeShape
from kubenode.linux.unit import starts_at_boot
from tests.recorded_node import recorded

STATES = (
    "enabled", "enabled-runtime", "disabled", "static", "indirect", "generated", "alias", "linked",
    "linked-runtime", "transient", "masked", "masked-runtime", "bad",
)  # fmt: skip


@pytest.mark.parametrize(
    ("check", "bad"), [("runtime.enabled", "fail"), ("kubelet.enabled", "warn")]
)
@pytest.mark.parametrize("wanted_by", [[], ["multi-user.target"], ["docker.service"]])
@pytest.mark.parametrize("enabled", STATES)
def test_the_checks_agree(check: str, bad: str, enabled: str, wanted_by: list[str]) -> None:
    facts = cast("dict[str, Any]", deepcopy(recorded()))
    said = {"enabled": enabled, "wanted_by": wanted_by}
    facts["containerd"]["unit"] |= said
    facts["kubelet"] |= {**said, "binary": "/usr/bin/kubelet", "version": "1.36.2"}
    report = judge_host("host", cast("NodeShape", facts), Aim(today=date(2026, 9, 1)), CHECKS)
    state = next(each.state for each in report.findings if each.check == check)
    expected = {True: "pass", False: bad, None: "unknown"}
    assert state == expected[starts_at_boot(enabled, wanted_by)]
