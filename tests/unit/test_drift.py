"""The odd host out, and clones."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubenode.audit.drift import drift, duplicates, values
from tests.recorded_node import recorded


def test_the_odd_host_out() -> None:
    hosts = {name: {"kernel": "6.1"} for name in "abc"} | {"d": {"kernel": "6.12"}}
    (found,) = drift(hosts)
    assert (found.id, found.title, found.usual) == ("drift.kernel", "Kernel release", "6.1")
    assert found.odd == {"6.12": ("d",)}


def test_without_a_majority_no_value_is_usual() -> None:
    (found,) = drift({"a": {"kernel": "1"}, "b": {"kernel": "2"}})
    assert found.usual is None
    assert found.odd == {"1": ("a",), "2": ("b",)}


def test_unknown_is_no_value() -> None:
    assert drift({"a": {"kernel": "1"}, "b": {"kernel": None}}) == ()
    (found,) = drift({"a": {"kernel": "1"}, "b": {"kernel": None}, "c": {"kernel": "2"}})
    assert found.unknown == ("b",)


def test_a_fact_that_one_host_has_alone_is_no_drift() -> None:
    assert drift({"a": {"driver.docker": "systemd"}, "b": {}}) == ()


@given(st.dictionaries(st.text(max_size=3), st.sampled_from(["1", "2", "3", None]), max_size=12))
def test_every_host_is_usual_odd_or_unknown(kernels: dict[str, str | None]) -> None:
    for found in drift({host: {"kernel": kernel} for host, kernel in kernels.items()}):
        odd = [host for hosts in found.odd.values() for host in hosts]
        usual = [host for host, kernel in kernels.items() if kernel and kernel == found.usual]
        assert sorted([*odd, *usual, *found.unknown]) == sorted(kernels)
        assert not usual or 2 * len(usual) > len(usual) + len(odd)


class Looked(str):
    """A value that counts how often somebody looks at it."""

    looks = 0

    def __hash__(self) -> int:
        Looked.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        Looked.looks += 1
        return super().__eq__(other)

    def __lt__(self, other: str) -> bool:
        Looked.looks += 1
        return super().__lt__(other)


def test_ten_thousand_hosts_take_as_long_each_as_a_hundred() -> None:
    def looks(count: int) -> float:
        hosts = {str(number): {"kernel": Looked(number)} for number in range(count)}
        Looked.looks = 0
        drift(hosts)
        return Looked.looks / count

    assert looks(100) > 1
    # a quadratic step would make this a hundred; to sort takes some more
    assert looks(10_000) < 4 * looks(100)


def test_values_of_a_recorded_node() -> None:
    found = values(recorded())
    assert found["os"] == "Debian GNU/Linux 13 (trixie)"
    assert found["containerd.version"] == "1.7.24"
    assert found["driver.containerd/runc"] == "systemd"
    assert found["sysctl.net.ipv4.ip_forward"] == "1, at boot 1"
    assert found["module.overlay"] == "builtin, at boot"


def test_values_of_a_node_that_did_not_answer_are_unknown() -> None:
    found = values(recorded(containerd=None, machine=None, sysctls=None))
    assert found["containerd.version"] is None
    assert found["kernel"] is None
    assert not [name for name in found if name.startswith("sysctl")]


def test_other_settings_are_another_digest() -> None:
    other = values(recorded(containerd__pause_image="other"))
    assert other["containerd.settings"] != values(recorded())["containerd.settings"]


def clone(**changes: Any) -> Any:
    return recorded(**{"machine__machine_id": "a" * 31 + "b", **changes})


def test_clones() -> None:
    found = {item.id: item for item in duplicates({"a": clone(), "b": clone()})}
    assert set(found) == {"duplicate.machine-id", "duplicate.hostname"}
    hostname = clone()["network"]["hostname"]
    assert found["duplicate.hostname"].odd == {hostname: ("a", "b")}


def test_what_firmware_leaves_empty_is_no_identity() -> None:
    same = {"machine__product_uuid": "00000000-0000-0000-0000-000000000000"}
    found = duplicates({"a": clone(**same), "b": clone(**same)})
    assert "duplicate.product-uuid" not in {item.id for item in found}
