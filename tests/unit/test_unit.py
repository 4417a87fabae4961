from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.linux import unit

BOOT, NEVER, OTHER = "multi-user.target", "rescue.target", "docker.service"


@pytest.mark.parametrize(
    ("enabled", "by_a_boot", "by_nobody", "by_rescue", "by_another"),
    [
        ("enabled", True, True, False, True),
        ("disabled", True, False, False, None),
        ("static", True, False, False, None),
        ("indirect", True, False, False, None),
        ("generated", True, False, False, None),
        ("alias", True, False, False, None),
        ("linked", True, False, False, None),
        ("", True, None, None, None),
        ("bad", True, None, None, None),
        ("enabled-runtime", False, False, False, False),
        ("linked-runtime", False, False, False, False),
        ("transient", False, False, False, False),
        ("masked", False, False, False, False),
        ("masked-runtime", None, False, None, None),
        ("a state of later", True, None, None, None),
    ],
)
def test_what_starts_at_boot(
    enabled: str,
    by_a_boot: bool | None,
    by_nobody: bool | None,
    by_rescue: bool | None,
    by_another: bool | None,
) -> None:
    assert unit.starts_at_boot(enabled, [BOOT]) is by_a_boot
    assert unit.starts_at_boot(enabled, []) is by_nobody
    assert unit.starts_at_boot(enabled, [NEVER]) is by_rescue
    assert unit.starts_at_boot(enabled, [OTHER]) is by_another
    # one that starts it is enough
    assert unit.starts_at_boot(enabled, [NEVER, OTHER, BOOT]) is by_a_boot


@given(st.sampled_from(["disabled", "static", "indirect", "generated", "linked"]), st.data())
def test_who_wants_it_decides_where_no_link_of_its_own_does(
    enabled: str, data: st.DataObject
) -> None:
    others = data.draw(
        st.dictionaries(st.sampled_from("abc"), st.sampled_from([True, False, None]))
    )
    wanted_by = data.draw(st.lists(st.sampled_from([*others, "x.service"])))
    starts = [others.get(name) for name in wanted_by]
    expected = True if True in starts else None if None in starts else False
    assert unit.starts_at_boot(enabled, wanted_by, others) is expected


@given(
    st.sampled_from(["enabled-runtime", "linked-runtime", "transient", "masked", "masked-runtime"]),
    st.lists(st.sampled_from([BOOT, NEVER, OTHER])),
)
def test_what_is_gone_or_masked_never_surely_starts(enabled: str, wanted_by: list[str]) -> None:
    assert unit.starts_at_boot(enabled, wanted_by, {OTHER: True}) is not True


def test_what_can_be_enabled_does_not_start_by_itself() -> None:
    states = ("disabled", "enabled-runtime", "linked", "linked-runtime")
    assert all(map(unit.can_be_enabled, states))
    for enabled in ("enabled", "static", "generated", "transient", "indirect", "masked", "alias"):
        assert not unit.can_be_enabled(enabled)


def test_a_shape_from_what_systemctl_says() -> None:
    assert unit.parse_unit(None) is None
    assert unit.parse_unit({"LoadState": "not-found"}) is None
    silent = unit.parse_unit({})
    assert silent is not None
    assert silent["load"] == "unknown"
    shape = unit.parse_unit(
        {
            "LoadState": "loaded",
            "ActiveState": "active",
            "UnitFileState": "static",
            "NeedDaemonReload": "yes",
            "WantedBy": "multi-user.target a.service",
            "RequiredBy": "b.service",
            "BoundBy": "c.service",
            "UpheldBy": "d.service",
        }
    )
    assert shape == {
        "load": "loaded",
        "active": "active",
        "enabled": "static",
        "fragment": None,
        "drop_ins": [],
        "limit_nofile": None,
        "needs_daemon_reload": True,
        "wanted_by": ["multi-user.target", "a.service", "b.service", "c.service", "d.service"],
    }
