"""What is said of a unit's next boot, and what that boot then does."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

import pytest

from kubenode.linux import unit
from tests.targets.container import Target

pytestmark = pytest.mark.targets

_ETC, _USR = "/etc/systemd/system", "/usr/lib/systemd/system"
_SERVICE = "[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n"
_INSTALL = "[Install]\\nWantedBy=multi-user.target\\n"


def _unit(name: str, text: str = _SERVICE + _INSTALL, place: str = _ETC) -> str:
    return f'mkdir -p {place}; printf "{text}" >{place}/{name}.service\n'


def _wants(name: str, kind: str = "wants") -> str:
    """Another unit of a package's wants it."""
    link = f"{_USR}/multi-user.target.{kind}"
    return f"mkdir -p {link}; ln -sf ../{name}.service {link}/{name}.service\n"


class Case(NamedTuple):
    """A unit, how it is made, and what has to be said of it."""

    name: str
    script: str
    state: str
    """What systemctl calls it."""
    starts: bool | None
    """What the rule says."""
    started: bool
    """What the next boot does."""


_ALSO = "[Install]\\nAlso=x-also.service\\n"
_GENERATOR = "/usr/lib/systemd/system-generators/x-generator"

CASES = (
    Case(
        "x-enabled", _unit("x-enabled") + "systemctl enable -q x-enabled\n", "enabled", True, True
    ),
    Case("x-disabled", _unit("x-disabled"), "disabled", False, False),
    Case(
        "x-vendor",
        _unit("x-vendor", place=_USR) + _wants("x-vendor"),
        "disabled",
        True,
        True,
    ),
    Case(
        "x-runtime",
        _unit("x-runtime") + "systemctl enable -q --runtime x-runtime\n",
        "enabled-runtime",
        False,
        False,
    ),
    Case("x-static", _unit("x-static", _SERVICE), "static", False, False),
    Case(
        "x-static-wanted",
        _unit("x-static-wanted", _SERVICE, _USR) + _wants("x-static-wanted"),
        "static",
        True,
        True,
    ),
    Case(
        "x-static-required",
        _unit("x-static-required", _SERVICE, _USR) + _wants("x-static-required", "requires"),
        "static",
        True,
        True,
    ),
    Case(
        "x-static-bound",
        _unit("x-static-bound", _SERVICE)
        + _unit("x-binds", f"[Unit]\\nBindsTo=x-static-bound.service\\n{_SERVICE}{_INSTALL}")
        + "systemctl enable -q x-binds\n",
        "static",
        None,
        True,
    ),
    Case(
        "x-rescue",
        _unit("x-rescue", f"{_SERVICE}[Install]\\nWantedBy=rescue.target\\n")
        + "systemctl enable -q x-rescue\n",
        "enabled",
        False,
        False,
    ),
    Case(
        "x-masked",
        _unit("x-masked", place=_USR)
        + "systemctl enable -q x-masked; systemctl mask -q x-masked\n",
        "masked",
        False,
        False,
    ),
    Case(
        "x-masked-runtime",
        _unit("x-masked-runtime", place=_USR)
        + "systemctl enable -q x-masked-runtime; systemctl mask -q --runtime x-masked-runtime\n",
        "masked-runtime",
        None,
        True,
    ),
    Case(
        "x-linked",
        _unit("x-linked", place="/opt/units") + "systemctl link -q /opt/units/x-linked.service\n",
        "linked",
        False,
        False,
    ),
    Case(
        "x-linked-wanted",
        _unit("x-linked-wanted", place="/opt/units")
        + "systemctl link -q /opt/units/x-linked-wanted.service\n"
        + _wants("x-linked-wanted"),
        "linked",
        True,
        True,
    ),
    Case(
        "x-linked-runtime",
        _unit("x-linked-runtime", place="/opt/units")
        + "systemctl link -q --runtime /opt/units/x-linked-runtime.service\n"
        + _wants("x-linked-runtime"),
        "linked-runtime",
        False,
        False,
    ),
    Case("x-indirect", _unit("x-indirect", _SERVICE + _ALSO), "indirect", False, False),
    Case(
        "x-indirect-wanted",
        _unit("x-indirect-wanted", _SERVICE + _ALSO, _USR) + _wants("x-indirect-wanted"),
        "indirect",
        True,
        True,
    ),
    Case(
        "x-generated",
        f"mkdir -p {posixpath.dirname(_GENERATOR)}\n"
        f"cat >{_GENERATOR} <<'END'\n"
        "#!/bin/sh\n"
        "for name in x-generated x-generated-wanted; do\n"
        f"  printf '{_SERVICE}' >$1/$name.service\n"
        "done\n"
        "mkdir -p $1/multi-user.target.wants\n"
        "ln -s ../x-generated-wanted.service $1/multi-user.target.wants/\n"
        "END\n"
        f"chmod +x {_GENERATOR}\n",
        "generated",
        False,
        False,
    ),
    Case("x-generated-wanted", "", "generated", True, True),
    Case(
        "x-transient",
        "systemd-run -q --unit x-transient -p RemainAfterExit=yes /bin/true\n",
        "transient",
        False,
        False,
    ),
)


@pytest.mark.parametrize("shared_target", ["bookworm", "forky"], indirect=True)
def test_a_boot_starts_what_was_said_to_start(shared_target: Target) -> None:
    """systemd 252 and 262: the boot itself says who was right."""
    scripts = "".join(case.script for case in CASES)
    shared_target.sh(f"set -e\n{_unit('x-also', _SERVICE)}{scripts}systemctl daemon-reload")
    asked = " ".join(f"-p {name}" for name in ("LoadState", *unit.PROPERTIES))
    said = {}
    for case in CASES:
        lines = shared_target.sh(f"systemctl show {asked} {case.name}.service").splitlines()
        shape = unit.parse_unit(dict(line.partition("=")[::2] for line in lines))
        assert shape
        said[case.name] = (
            shape["enabled"],
            unit.starts_at_boot(shape["enabled"], shape["wanted_by"]),
        )
    assert said == {case.name: (case.state, case.starts) for case in CASES}

    shared_target.reboot()
    started = {
        case.name: shared_target.try_sh(f"systemctl -q is-active {case.name}.service")[0] == 0
        for case in CASES
    }
    assert started == {case.name: case.started for case in CASES}


@pytest.mark.parametrize("shared_target", ["bookworm", "forky"], indirect=True)
def test_what_can_be_enabled_starts_once_it_is(shared_target: Target) -> None:
    for case in CASES:
        if unit.can_be_enabled(case.state) and not case.started:
            name = f"{case.name}.service"
            shared_target.sh(f"systemctl cat {name} || systemctl link /opt/units/{name}")
            shared_target.sh(f"systemctl enable {name}")
            asked = " ".join(f"-p {name}" for name in unit.PROPERTIES)
            lines = shared_target.sh(f"systemctl show {asked} {name}").splitlines()
            shape = unit.parse_unit(dict(line.partition("=")[::2] for line in lines))
            assert shape
            assert unit.starts_at_boot(shape["enabled"], shape["wanted_by"]), case.name
