"""kubelet's files with other values: all else stays to the letter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files import go_yaml
from kubenode.kubelet import fields
from kubenode.kubelet.editing import CannotEdit, patch, with_flag, with_settings

KUBEADMS = """\
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
containerRuntimeEndpoint: ""
cpuManagerReconcilePeriod: 0s
kind: KubeletConfiguration
logging:
  flushFrequency: 0
  options:
    text:
      infoBufferSize: "0"
memorySwap: {}
nodeStatusReportFrequency: 0s
"""


def test_one_value_is_changed_and_its_remark_stays() -> None:
    text = "# ours\ncgroupDriver:   cgroupfs  # as before 1.22\nmaxPods: 200\n"
    assert with_settings(text, {"cgroupDriver": "systemd"}) == (
        "# ours\ncgroupDriver: systemd  # as before 1.22\nmaxPods: 200\n"
    )
    assert with_settings(text, {"cgroupDriver": "cgroupfs", "maxPods": 200}) == text


def test_kubeadms_file_gets_values_where_they_stand() -> None:
    wanted = {
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/crio/crio.sock",
        "memorySwap": {"swapBehavior": "LimitedSwap"},
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods", "system-reserved"],
    }
    new = with_settings(KUBEADMS, wanted)
    assert new == (
        KUBEADMS.replace("cgroupDriver: systemd", "cgroupDriver: cgroupfs")
        .replace('Endpoint: ""', "Endpoint: unix:///run/crio/crio.sock")
        .replace("memorySwap: {}", "memorySwap:\n  swapBehavior: LimitedSwap")
        + "failSwapOn: false\nenforceNodeAllocatable:\n- pods\n- system-reserved\n"
    )
    assert with_settings(new, wanted) == new


def test_of_a_mapping_only_its_names_are_changed() -> None:
    text = (
        "kubeReserved:\n  # measured in May\n  cpu: 100m # of four\n  memory: 1Gi\n"
        "# of the system\nmaxPods: 1\n"
    )
    assert with_settings(text, {"kubeReserved": {"cpu": "200m", "pid": "1000"}}) == (
        "kubeReserved:\n  # measured in May\n  cpu: 200m # of four\n  memory: 1Gi\n"
        '  pid: "1000"\n# of the system\nmaxPods: 1\n'
    )


def test_lists_and_line_ends_and_documents() -> None:
    assert (
        with_settings(
            "enforceNodeAllocatable:\r\n- pods\r\nmaxPods: 1\r\n",
            {"enforceNodeAllocatable": ["none"]},
        )
        == "enforceNodeAllocatable:\r\n- none\r\nmaxPods: 1\r\n"
    )
    assert with_settings("maxPods: 1\n---\nmaxPods: 2\n", {"failSwapOn": False}) == (
        "maxPods: 1\nfailSwapOn: false\n---\nmaxPods: 2\n"
    )
    assert with_settings("maxPods: 1", {"maxPods": 2}) == "maxPods: 2\n"
    assert with_settings("", {"maxPods": 2}) == "maxPods: 2\n"


@pytest.mark.parametrize(
    "text",
    [
        "{maxPods: 1}\n",
        "maxPods: [1\n",
        "enforceNodeAllocatable:\n- pods\n# why\n- none\n",
        '"maxPods": 1\n',
        "maxPods: &a 1\nregistryBurst: *a\n",
        "- maxPods\n",
    ],
)
def test_what_cannot_be_changed_safely_is_not(text: str) -> None:
    with pytest.raises(CannotEdit):
        with_settings(text, {"maxPods": 2, "enforceNodeAllocatable": ["none"]})


_WORD = st.text(alphabet="abcxyz019-./ :#'\"", min_size=0, max_size=8)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "cgroupDriver": st.sampled_from(["systemd", "cgroupfs"]),
    "failSwapOn": st.booleans(),
    "maxPods": st.integers(0, 500),
    "kubeReserved": st.dictionaries(
        st.sampled_from(["cpu", "memory", "pid"]), st.sampled_from(["1", "100m", "1Gi"]), min_size=1
    ),
    "enforceNodeAllocatable": st.lists(
        st.sampled_from(["pods", "none", "kube-reserved"]), min_size=1, max_size=2
    ),
    "resolvConf": st.sampled_from(["/etc/resolv.conf", "/run/x", ""]),
}
_LINES = st.lists(
    st.one_of(
        st.just(""),
        _WORD.map(lambda word: "# " + word),
        st.sampled_from(
            ["cgroupDriver: cgroupfs", "failSwapOn: true # x", "maxPods:  7", "maxPods:", "---",
             "kubeReserved: {}", "kubeReserved:\n  cpu: 1", "kubeReserved:\n    cpu: 100m\n",
             "enforceNodeAllocatable: [pods]", "enforceNodeAllocatable:\n- pods",
             "enforceNodeAllocatable:\n  - pods # y", "clusterDNS:\n- 10.0.0.1", "logging:\n  a: 1",
             "resolvConf: \"\"", "resolvConf: '/etc/x' # z"],
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(_LINES, st.sampled_from(list(_VALUES)), st.data())
def test_what_is_wanted_is_stated_and_nothing_else_is_lost(
    lines: list[str], name: str, data: st.DataObject
) -> None:
    text = "".join(f"{line}\n" for line in lines)
    value = data.draw(_VALUES[name])
    try:
        new = with_settings(text, {name: value})
    except CannotEdit:
        return
    before, after = go_yaml.mapping(text), go_yaml.mapping(new)
    assert fields.same(after[name], value)
    assert {key: each for key, each in after.items() if key != name} == {
        key: each for key, each in before.items() if key != name
    }
    # every remark is still there, in its order
    remarks = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in new.splitlines() if "#" in line] == remarks
    assert with_settings(new, {name: value}) == new


def test_a_flag_is_changed_in_its_file() -> None:
    text = '# ours\nKUBELET_EXTRA_ARGS="--v=2 --cgroup-driver=cgroupfs --node-ip=10.0.0.1"\n'
    assert with_flag(text, "cgroup-driver", "systemd") == text.replace("cgroupfs", "systemd")
    assert with_flag("A=--fail_swap_on=true", "fail-swap-on", "false") == "A=--fail_swap_on=false"
    for other in ("A=--v=2", "A='--cgroup-driver=a --cgroup-driver=b'", "A=--cgroup-driver a",
                  "A=--x-cgroup-driver=a"):  # fmt: skip
        with pytest.raises(CannotEdit):
            with_flag(other, "cgroup-driver", "systemd")


def test_a_patch_is_what_kubeadm_takes() -> None:
    text = patch({"cgroupDriver": "systemd", "memorySwap": {"swapBehavior": "NoSwap"}})
    assert go_yaml.mapping(text) == {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        "memorySwap": {"swapBehavior": "NoSwap"},
    }
