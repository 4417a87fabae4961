"""A setting of kubelet is changed where the value that counts is stated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.kubelet.command_line import Word
from kubenode.kubelet.configuration import INSTANCE_CONFIG, Files, in_force, plan

CONFIG = "/var/lib/kubelet/config.yaml"
ENV = "/var/lib/kubelet/kubeadm-flags.env"
DROP_INS = ("/etc/kubelet.d/10-a.conf", "/etc/kubelet.d/20-b.conf")


def files(config: str = "", words: tuple[Word, ...] = (), **texts: str) -> Files:
    named = {"env": ENV, "a": DROP_INS[0], "b": DROP_INS[1], "instance": INSTANCE_CONFIG}
    there = {CONFIG: config, **{named[name]: text for name, text in texts.items()}}
    return Files(CONFIG, [path for path in DROP_INS if path in there], there, words)


def test_what_nobody_states_goes_into_the_file() -> None:
    to_do = plan(files("# ours\nmaxPods: 200\n"), {"failSwapOn": False})
    assert to_do.edits == {CONFIG: "# ours\nmaxPods: 200\nfailSwapOn: false\n"}
    assert to_do.changes == (f"{CONFIG}: failSwapOn (not stated) -> False",)
    assert not to_do.changes_driver


def test_the_last_drop_in_that_states_it_is_changed() -> None:
    there = files("cgroupDriver: systemd\n", a="cgroupDriver: systemd\n",
                  b="# b\ncgroupDriver: cgroupfs\n")  # fmt: skip
    to_do = plan(there, {"cgroupDriver": "systemd"})
    assert to_do.edits == {DROP_INS[1]: "# b\ncgroupDriver: systemd\n"}
    assert (to_do.before, to_do.after) == ("cgroupfs", "systemd")
    assert to_do.changes_driver


def test_a_flag_is_changed_in_its_file_and_one_of_the_unit_is_named() -> None:
    env = 'KUBELET_KUBEADM_ARGS="--cgroup-driver=cgroupfs --node-ip=10.0.0.1"\n'
    words = (Word("--cgroup-driver=cgroupfs", ENV), Word("--node-ip=10.0.0.1", ENV))
    to_do = plan(files("cgroupDriver: systemd\n", words, env=env), {"cgroupDriver": "systemd"})
    assert to_do.edits == {ENV: env.replace("cgroupfs", "systemd")}
    assert (to_do.before, to_do.after) == ("cgroupfs", "systemd")
    of_unit = (Word("--cgroup-driver", "kubelet.service"), Word("cgroupfs", "kubelet.service"))
    blocked = plan(files("", of_unit), {"cgroupDriver": "systemd"})
    assert blocked.edits == {}
    assert "kubelet.service: --cgroup-driver=cgroupfs wins over all" in (blocked.blocked or "")
    assert plan(files("", of_unit), {"cgroupDriver": "cgroupfs"}).blocked is None


def test_the_endpoint_that_kubeadm_keeps_is_changed_with_it() -> None:
    old, new = "unix:///run/containerd/containerd.sock", "unix:///run/crio/crio.sock"
    there = files(
        f"containerRuntimeEndpoint: {old}\n", instance=f"containerRuntimeEndpoint: {old}\n"
    )
    to_do = plan(there, {"containerRuntimeEndpoint": new})
    assert set(to_do.edits) == {CONFIG, INSTANCE_CONFIG}
    assert (
        plan(files(f"containerRuntimeEndpoint: {new}\n"), {"containerRuntimeEndpoint": new}).edits
        == {}
    )


@pytest.mark.parametrize(
    ("config", "wanted", "says"),
    [
        (
            "enforceNodeAllocatable: [system-reserved]\n",
            {"maxPods": 50},
            "systemReservedCgroup must",
        ),
        (
            "imageGCLowThresholdPercent: 70\n",
            {"imageGCHighThresholdPercent": 60},
            "must be less than",
        ),
        ("maxPods: [\n", {"maxPods": 50}, CONFIG),
        ('"maxPods": 1\n', {"maxPods": 50}, "does not stand there as a plain key"),
    ],
)
def test_what_kubelet_would_not_start_with_is_refused(
    config: str, wanted: dict[str, Any], says: str
) -> None:
    to_do = plan(files(config), wanted)
    assert says in (to_do.blocked or "")
    assert to_do.edits == {}


def test_a_kubelet_without_a_file_has_none_to_change() -> None:
    assert "--config" in (plan(Files(None), {"maxPods": 1}).blocked or "")


_YAML = st.sampled_from(
    ["", "cgroupDriver: systemd\n", "cgroupDriver: cgroupfs # x\n", "failSwapOn: false\n",
     "maxPods: 7\nfailSwapOn: true\n", "memorySwap:\n  swapBehavior: NoSwap\n", "# nothing\n"]
)  # fmt: skip
_WANTED = st.fixed_dictionaries(
    {},
    optional={
        "cgroupDriver": st.sampled_from(["systemd", "cgroupfs"]),
        "failSwapOn": st.booleans(),
        "maxPods": st.integers(1, 300),
        "memorySwap": st.just({"swapBehavior": "LimitedSwap"}),
    },
)
_WORDS = st.lists(
    st.sampled_from(
        [Word("--cgroup-driver=cgroupfs", ENV), Word("--fail-swap-on=false", ENV),
         Word("--max-pods=9", ENV)]
    ),
    unique=True,
)  # fmt: skip


@given(_YAML, _YAML, _YAML, _WORDS, _WANTED)
def test_afterwards_all_of_it_is_in_force_and_twice_is_nothing(
    config: str, a: str, b: str, words: list[Word], wanted: dict[str, Any]
) -> None:
    env = f'A="{" ".join(word.text for word in words)}"\n'
    there = files(config, tuple(words), a=a, b=b, env=env)
    to_do = plan(there, wanted)
    assert to_do.blocked is None
    texts = {**there.texts, **to_do.edits}
    # as systemd reads it then
    after = tuple(Word(text, ENV) for text in texts[ENV].split('"')[1].split())
    again = Files(CONFIG, there.drop_ins, texts, after)
    stated = in_force(again, texts)
    for name, value in wanted.items():
        assert stated[name] == value
    assert plan(again, wanted).edits == {}
    for path, text in to_do.edits.items():
        assert text.count("#") == there.texts[path].count("#")
