"""Who states which cgroup driver where, from the files of Docker, CRI-O and kubelet."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet.config import kubelet_driver
from kubenode.linux.cgroups import Statement
from kubenode.runtimes.crio.config import crio_driver
from kubenode.runtimes.docker.config import docker_driver

DAEMON = "/etc/docker/daemon.json"


def test_docker_states_it_in_its_file_or_on_its_command_line() -> None:
    text = '{\n  "exec-opts": ["native.cgroupdriver=systemd"]\n}\n'
    assert docker_driver(text, DAEMON, "") == Statement(DAEMON, 2, "systemd")
    flag = "/usr/sbin/dockerd --exec-opt native.cgroupdriver=cgroupfs"
    assert docker_driver(None, DAEMON, flag) == Statement("docker.service", None, "cgroupfs")


@pytest.mark.parametrize("text", [None, "", "{}", '{"exec-opts": []}', '{"log-level": "warn"}'])
def test_docker_states_nothing(text: str | None) -> None:
    assert docker_driver(text, DAEMON, "/usr/sbin/dockerd -H fd://") is None


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"exec-opts": 3}', '{"exec-opts": ["native.cgroupdriver=system"]}', "[" * 99999],
)
def test_a_docker_file_that_cannot_be_understood_is_unknown(text: str) -> None:
    with pytest.raises(CannotTell, match=DAEMON):
        docker_driver(text, DAEMON, "")


def test_docker_s_option_folds_case_and_its_keys_do_not() -> None:
    text = '{"exec-opts": ["NATIVE.cgroupDriver = systemd"]}'
    assert docker_driver(text, DAEMON, "") == Statement(DAEMON, 1, "systemd")
    with pytest.raises(CannotTell, match="does not start with the key 'Exec-Opts'"):
        docker_driver('{"Exec-Opts": ["native.cgroupdriver=systemd"]}', DAEMON, "")


def test_crio_s_keys_fold_case() -> None:
    file = ("/etc/crio/crio.conf", '[Crio.RUNTIME]\nCgroup_Manager = "cgroupfs"\n')
    assert crio_driver([file]) == Statement(file[0], 2, "cgroupfs")
    twice = (file[0], file[1] + 'cgroup_manager = "systemd"\n')
    with pytest.raises(CannotTell, match="are one key to CRI-O"):
        crio_driver([twice])


def test_the_last_crio_file_wins() -> None:
    main = ("/etc/crio/crio.conf", '[crio.runtime]\ncgroup_manager = "systemd"\n')
    drop_in = ("/etc/crio/crio.conf.d/02-x.conf", '[crio.runtime]\n\ncgroup_manager = "cgroupfs"\n')
    other = ("/etc/crio/crio.conf.d/03-y.conf", "[crio.image]\n")
    assert crio_driver([main, drop_in, other]) == Statement(drop_in[0], 3, "cgroupfs")
    assert crio_driver([other]) is None
    with pytest.raises(CannotTell, match="03-y"):
        crio_driver([main, (other[0], "= 3")])


KUBELET = ("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\ncgroupDriver: systemd\n")


UNSTATED = ("", None)


def test_kubelet_drop_ins_beat_the_file_and_a_flag_beats_both() -> None:
    drop_in = ("/var/lib/kubelet/config.d/10.conf", "cgroupDriver: cgroupfs\n")
    flags = ("/var/lib/kubelet/kubeadm-flags.env", 'X=""\nY="--cgroup-driver=systemd"')
    assert kubelet_driver([KUBELET], None, UNSTATED) == Statement(KUBELET[0], 2, "systemd")
    assert kubelet_driver([KUBELET, drop_in], None, UNSTATED) == Statement(
        drop_in[0], 1, "cgroupfs"
    )
    assert kubelet_driver([KUBELET, drop_in], "systemd", flags) == Statement(flags[0], 2, "systemd")
    assert kubelet_driver([KUBELET], "cgroupfs", ("kubelet.service", None)) == Statement(
        "kubelet.service", None, "cgroupfs"
    )


def test_kubelet_configuration_may_be_json_and_comments_do_not_count() -> None:
    as_json = (KUBELET[0], json.dumps({"cgroupDriver": "systemd"}))
    assert kubelet_driver([as_json], None, UNSTATED) == Statement(KUBELET[0], 1, "systemd")
    commented = (KUBELET[0], "# cgroupDriver: cgroupfs\n")
    assert kubelet_driver([commented], None, UNSTATED) is None


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n", "cgroupDriver: system\n", "cgroupDriver: [1]\n", "<<: {}\n"]
)
def test_a_kubelet_file_that_cannot_be_understood_is_unknown(text: str) -> None:
    with pytest.raises(CannotTell, match=r"config\.yaml"):
        kubelet_driver([(KUBELET[0], text)], None, UNSTATED)


@pytest.mark.parametrize(
    "text",
    ['a: !!int ""', "a: !!bool x", "[" * 2000, "a: !!float", "a: *b", "a: &b [*b]", "? [a]\n: b"],
)
def test_yaml_that_cannot_be_converted_is_unknown(text: str) -> None:
    with pytest.raises(CannotTell, match=r"config\.yaml"):
        kubelet_driver([(KUBELET[0], text)], None, UNSTATED)


def test_a_huge_integer_is_only_the_component_s_unknown() -> None:
    with pytest.raises(CannotTell, match=r"crio\.conf"):
        crio_driver([("/etc/crio/crio.conf", "x = " + "1" * 5000)])


def test_a_value_without_end_is_named_by_its_type() -> None:
    bomb = ["a0: &a0 [x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    text = "\n".join([*bomb, "cgroupDriver: *a9"])
    with pytest.raises(CannotTell, match="a value of type list is no cgroup driver"):
        kubelet_driver([(KUBELET[0], text)], None, UNSTATED)


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(CannotTell):
        docker_driver(text, DAEMON, text)
    with suppress(CannotTell):
        crio_driver([("/etc/crio/crio.conf", text)])
    with suppress(CannotTell):
        kubelet_driver([(KUBELET[0], text)], text or None, (KUBELET[0], text))
