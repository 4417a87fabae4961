"""By which means dnf holds a package, from what a host has of dnf."""

from __future__ import annotations

import pytest

from kubenode.facts import dnf_hold
from kubenode.wire.reading import ProbeError, Reading

CONF, PLUGIN = "/etc/dnf/dnf.conf", "/etc/dnf/plugins/versionlock.conf"
ON = b"[main]\nenabled = 1\nlocklist = /etc/dnf/plugins/versionlock.list\n"


def reading(versionlock: str, **files: bytes) -> Reading:
    return Reading(
        values={"versionlock": versionlock},
        exact={{"conf": CONF, "plugin": PLUGIN}[name]: text for name, text in files.items()},
    )


@pytest.mark.parametrize(
    ("said", "has"),
    [
        (reading("yes"), True),
        (reading("no", plugin=ON), False),
        (reading("plugin", plugin=ON), True),
        (reading("plugin", plugin=ON, conf=b"[main]\nplugins=0\n"), False),
        (reading("plugin", plugin=b"[main]\nenabled = false\n"), False),
        (reading("plugin", plugin=b"no section"), False),
        # the plugin wants to know where its list is
        (reading("plugin"), False),
    ],
)
def test_version_locks_are_there_when_dnf_would_obey_them(said: Reading, has: bool) -> None:
    assert dnf_hold.parse(said)["versionlock"] is has


def test_a_configuration_that_cannot_be_read_is_unknown() -> None:
    with pytest.raises(ProbeError, match=CONF):
        dnf_hold.parse(Reading(values={"versionlock": "yes"}, unreadable=frozenset({CONF})))
