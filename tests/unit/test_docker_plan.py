"""What becomes of daemon.json, cri-dockerd's flags and both units, and what keeps it from being."""

from __future__ import annotations

from typing import Any

import pytest

from kubenode.linux.unit import Unit
from kubenode.packages.source import NotBuiltFor
from kubenode.runtimes.docker import cri_dockerd, packages, releases, source
from kubenode.runtimes.docker.plan import plan
from kubenode.runtimes.docker.state import State
from kubenode.runtimes.docker.upkeep import upkeep
from kubenode.runtimes.docker.wanted import DockerWanted

ACTIVE = Unit("loaded", "active", "enabled", False, ("multi-user.target",))
WORDS = ("/usr/bin/cri-dockerd", "--container-runtime-endpoint", "fd://")


def state(**changes: Any) -> State:
    values: dict[str, Any] = {
        "version": "26.1.5",
        "config_error": None,
        "exists": True,
        "unknown_keys": (),
        "in_both": (),
        "flags": ("-H", "fd://"),
        "stated_driver": "systemd",
        "asked": "asked",
        "driver": "systemd",
        "storage_driver": "overlay2",
        "live_restore": True,
        "containers": 0,
        "swarm": False,
        "cri": "serving",
        "socket": "/run/cri-dockerd.sock",
        "engine": ACTIVE,
        "service": "cri-docker.service",
        "cri_unit": ACTIVE,
        "cri_socket_unit": ACTIVE,
        "program": WORDS[0],
        "words": WORDS,
        "older_than_engine": False,
        "pods": {"systemd": 0, "cgroupfs": 0},
        "restart_pending": (),
        "clock_set_back": (),
    }
    return State(**{**values, **changes})


GOOD = b'{"exec-opts": ["native.cgroupdriver=systemd"]}'


def test_what_is_as_wanted_is_no_change() -> None:
    assert plan(GOOD, DockerWanted("systemd"), state()).is_empty
    # its own default is not stated
    wanted = DockerWanted("systemd", cni_bin_dirs=("/opt/cni/bin",))
    assert plan(GOOD, wanted, state()).is_empty


@pytest.mark.parametrize(
    ("changes", "wanted", "reason"),
    [
        ({"exists": None}, {}, "cannot read /etc/docker/daemon.json"),
        ({"config_error": "FILE:1:1: bad"}, {}, "FILE:1:1: bad"),
        ({"in_both": ("hosts",)}, {}, "has hosts, and so has the command line"),
        ({"unknown_keys": ("x",), "version": "20.10.24"}, {}, "has x, which dockerd does not know"),
        ({"flags": None}, {}, "cannot tell which flags docker.service has"),
        ({"words": ()}, {}, "cannot tell from cri-docker.service how"),
        (
            {"flags": ("--log-driver=journald",)},
            {"log_driver": "local"},
            "docker.service states log-driver as a flag",
        ),
        (
            {"flags": ("--exec-opt", "native.cgroupdriver=cgroupfs"), "stated_driver": "cgroupfs"},
            {},
            "docker.service has --exec-opt",
        ),
        ({"swarm": True}, {"live_restore": True}, "part of a Swarm"),
        (
            {"driver": "cgroupfs", "pods": {"systemd": 0, "cgroupfs": 3}},
            {},
            "3 containers of pods run with the cgroupfs cgroup driver",
        ),
        ({"driver": "cgroupfs", "pods": None}, {}, "cannot tell whether pods run"),
    ],
)
def test_what_keeps_it_from_being_changed(
    changes: dict[str, Any], wanted: dict[str, Any], reason: str
) -> None:
    blocked = plan(b"{}", DockerWanted("systemd", **wanted), state(**changes)).blocked
    assert blocked
    assert reason in blocked
    assert blocked.endswith("nothing was changed")


def test_a_newer_engine_judges_its_keys_itself() -> None:
    assert plan(GOOD, DockerWanted("systemd"), state(unknown_keys=("new",))).blocked is None


def test_a_flag_that_states_the_driver_is_left() -> None:
    stated = state(flags=("--exec-opt=native.cgroupdriver=systemd",))
    assert plan(b"{}", DockerWanted("systemd"), stated).is_empty


def test_pods_of_the_other_driver_may_be_overridden() -> None:
    pods = state(driver="cgroupfs", pods={"systemd": 0, "cgroupfs": 3})
    assert plan(b"{}", DockerWanted("systemd"), pods, change_driver_under_pods=True).daemon


def test_flags_of_cri_dockerd_are_a_drop_in_that_keeps_the_others() -> None:
    words = (*WORDS, "--cni-bin-dir", "/opt/a", "--hairpin-mode=none", "--network-plugin=kubenet")
    wanted = DockerWanted("systemd", "reg/pause:1", cni_bin_dirs=("/opt/cni/bin", "/opt/a"))
    planned = plan(GOOD, wanted, state(words=words))
    assert planned.drop_in == (
        "# Written by kubenode: what is changed here is replaced.\n[Service]\nExecStart=\n"
        "ExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --hairpin-mode=none "
        "--pod-infra-container-image=reg/pause:1 --cni-bin-dir=/opt/a,/opt/cni/bin "
        "--network-plugin=cni\n"
    )
    assert [line.split(":")[0] for line in planned.explained] == ["cri-dockerd"] * 3
    done = state(words=tuple(planned.drop_in.splitlines()[-1].removeprefix("ExecStart=").split()))
    assert plan(GOOD, wanted, done).is_empty


def test_the_program_of_a_package_that_is_gone_is_not_started_any_more() -> None:
    moved = state(program="/usr/local/bin/cri-dockerd")
    planned = plan(GOOD, DockerWanted("systemd"), moved)
    assert planned.drop_in
    assert "ExecStart=/usr/local/bin/cri-dockerd --container" in planned.drop_in


def test_a_percent_sign_is_systemds() -> None:
    assert "--x=50%%\n" in cri_dockerd.drop_in(["/bin/x", "--x=50%"])
    with pytest.raises(ValueError, match="no plain word"):
        cri_dockerd.drop_in(["/bin/x", "a b"])


def test_the_last_flag_counts_in_each_spelling() -> None:
    words = ["x", "--a", "1", "--a=2", "-b=3", "--c"]
    assert cri_dockerd.flag(words, "a") == "2"
    assert cri_dockerd.flag(words, "b") == "3"
    assert cri_dockerd.flag(words, "c") is None
    assert cri_dockerd.with_flags(words, {"a": "4"}) == ["x", "-b=3", "--c", "--a=4"]
    assert cri_dockerd.socket_of(WORDS, ["/run/other.sock"]) == "/run/other.sock"
    assert cri_dockerd.socket_of(["x"], []) == "/var/run/cri-dockerd.sock"
    assert cri_dockerd.socket_of([], []) == "/run/cri-dockerd.sock"


def test_upkeep_restarts_the_engine_only_where_containers_survive_or_there_are_none() -> None:
    assert upkeep(state()).steps == ()
    pending = {"restart_pending": ("/etc/docker/daemon.json",), "containers": 2}
    assert upkeep(state(**pending)).steps == (
        "systemctl restart docker.service cri-docker.service",
    )
    waits = upkeep(state(**pending, live_restore=False))
    assert waits.steps == ()
    assert waits.postponed
    assert "2 containers run" in waits.postponed
    assert upkeep(state(**{**pending, "containers": 0}, live_restore=False)).steps
    # containers that would not survive are never taken by surprise
    assert upkeep(state(**pending, live_restore=False), "now").postponed
    # nobody knows
    unknown = {**pending, "containers": None, "pods": None, "live_restore": None}
    assert upkeep(state(**unknown)).postponed


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        (
            {"cri_unit": Unit("loaded", "inactive", "disabled", False, ())},
            (
                "systemctl enable cri-docker.service",
                "systemctl reset-failed cri-docker.service",
                "systemctl start cri-docker.service",
            ),
        ),
        ({"older_than_engine": True}, ("systemctl restart cri-docker.service",)),
        ({"cri": "down"}, (":",)),
        (
            {"engine": Unit("loaded", "failed", "enabled", True, ())},
            (
                "systemctl daemon-reload",
                "systemctl reset-failed docker.service",
                "systemctl start docker.service",
            ),
        ),
    ],
)
def test_upkeep_starts_and_enables(changes: dict[str, Any], steps: tuple[str, ...]) -> None:
    assert upkeep(state(**changes)).steps == steps


@pytest.mark.parametrize(
    "changes",
    [
        {"cri_unit": None},
        {"cri_socket_unit": Unit("masked", "inactive", "masked", False, ())},
        {"in_both": ("hosts",)},
        {"config_error": "bad"},
    ],
)
def test_upkeep_refuses_what_it_cannot_keep_running(changes: dict[str, Any]) -> None:
    assert upkeep(state(**changes)).blocked


@pytest.mark.parametrize(
    ("cri", "engine", "kubernetes", "breaks"),
    [
        ("0.3.15", "29.1.0", None, [True]),
        ("0.3.16", "29.1.0", None, []),
        ("0.3.15", "29.3.0", None, []),
        ("0.4.3", "20.10.24", None, [True]),
        ("0.4.3", "26.1.5", (1, 35), []),
        ("0.3.16", "26.1.5", (1, 34), [False]),
        ("0.4.3", "26.1.5", (1, 36), [False]),
        (None, "29.1.0", (1, 36), []),
        ("0.4.3", None, None, []),
    ],
)
def test_releases_that_do_not_fit(
    cri: str | None, engine: str | None, kubernetes: tuple[int, int] | None, breaks: list[bool]
) -> None:
    assert [each.breaks for each in releases.misfits(cri, engine, kubernetes)] == breaks


def test_the_client_is_a_package_of_its_own_from_trixie_on() -> None:
    names = {
        version: packages.wanted("distribution", {"ID": "debian", "VERSION_ID": version})
        for version in ("12", "13", "")
    }
    assert names["12"] == ("docker.io",)
    assert names["13"] == names[""] == ("docker.io", "docker-cli")
    assert packages.wanted("distribution", {"ID": "ubuntu", "VERSION_ID": "24.04"}) == (
        "docker.io",
    )
    assert packages.replaced(
        ("docker-ce", "docker-ce-cli", "containerd.io"),
        ["docker.io", "docker-cli", "containerd", "runc", "cri-dockerd"],
    ) == ("docker.io", "docker-cli", "containerd", "runc")


@pytest.mark.parametrize(
    "bad",
    [
        {"live_restore": 1.5},
        {"log_driver": "a b"},
        {"log_opts": {"max-size": 5}},
        {"storage_driver": ""},
        {"registry_mirrors": ("ftp://x",)},
        {"pause_image": "a b"},
    ],
)
def test_what_is_no_setting(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        DockerWanted("systemd", **bad)


@pytest.mark.parametrize(
    ("wanted", "installed", "goes"),
    [
        (
            ("docker-ce", "docker-ce-cli", "containerd.io"),
            ("containerd", "docker-cli", "docker.io", "runc", "cri-dockerd"),
            ("containerd", "docker-cli", "docker.io", "runc"),
        ),
        # containerd.io has the same name at both vendors
        (
            ("docker-ee", "docker-ee-cli", "containerd.io"),
            ("containerd.io", "docker-ce", "docker-ce-cli"),
            ("docker-ce", "docker-ce-cli"),
        ),
        # another release of the same engine
        (("docker.io",), ("containerd", "docker-cli", "docker.io", "runc"), ()),
        (
            ("docker.io", "docker-cli"),
            ("containerd.io", "docker-ce"),
            ("containerd.io", "docker-ce"),
        ),
        (
            ("moby-engine", "docker-cli"),
            ("docker-ce", "docker-ce-cli", "containerd.io", "docker-ce-rootless-extras"),
            ("docker-ce", "docker-ce-cli", "containerd.io", "docker-ce-rootless-extras"),
        ),
        # openSUSE's buildx needs its docker
        (
            ("docker-ce", "docker-ce-cli", "containerd.io"),
            ("docker", "containerd", "runc", "docker-buildx"),
            ("docker", "containerd", "runc", "docker-buildx"),
        ),
        (("docker",), ("docker", "containerd", "docker-buildx"), ()),
        # nobody's here
        (("balena-engine",), ("docker-ce",), ()),
    ],
)
def test_what_is_in_the_way_of_an_engine(
    wanted: tuple[str, ...], installed: tuple[str, ...], goes: tuple[str, ...]
) -> None:
    assert packages.in_the_way(wanted, installed) == goes


@pytest.mark.parametrize(
    ("os_release", "names"),
    [
        ("ID=debian VERSION_ID=12", ("docker.io",)),
        ("ID=debian VERSION_ID=13", ("docker.io", "docker-cli")),
        ("ID=debian", ("docker.io", "docker-cli")),
        ("ID=ubuntu ID_LIKE=debian VERSION_ID=24.04", ("docker.io",)),
        ("ID=fedora VERSION_ID=43", ("moby-engine", "docker-cli")),
        ("ID=opensuse-leap ID_LIKE=suse,opensuse VERSION_ID=15.6", ("docker",)),
        ("ID=sles ID_LIKE=suse VERSION_ID=15.6", ("docker",)),
        ("", ("docker.io",)),
    ],
)
def test_the_distributions_packages(os_release: str, names: tuple[str, ...]) -> None:
    fields = dict(each.split("=") for each in os_release.replace(",", " ").split() if "=" in each)
    fields["ID_LIKE"] = fields.get("ID_LIKE", "").replace(",", " ")
    assert packages.wanted("distribution", fields) == names
    assert packages.wanted("docker", fields)[0] == "docker-ce"


@pytest.mark.parametrize("like", [{"ID": "rhel"}, {"ID": "rocky", "ID_LIKE": "rhel centos fedora"},
                                  {"ID": "ol", "ID_LIKE": "fedora"}])  # fmt: skip
def test_rhel_has_no_engine(like: dict[str, str]) -> None:
    with pytest.raises(NotBuiltFor, match="set kubenode_docker_source to 'docker'"):
        packages.wanted("distribution", {**like, "VERSION_ID": "9.6"})
    assert packages.wanted("mcr", like)[0] == "docker-ee"


@pytest.mark.parametrize(
    ("engine", "installed", "os_release", "chosen"),
    [
        ("docker.io", ["docker.io"], {"ID": "debian", "VERSION_ID": "13"}, None),
        (
            "docker-ce",
            ["containerd.io", "docker-ce", "docker-ce-cli"],
            {"ID": "debian", "VERSION_ID": "13"},
            ("docker-ce", "docker-ce-cli", "containerd.io"),
        ),
        ("moby-engine", ["moby-engine", "containerd"], {"ID": "fedora"}, None),
        ("docker", ["docker", "containerd", "runc"], {"ID": "sles", "ID_LIKE": "suse"}, None),
        ("docker-ce", ["docker-ce"], {"ID": "rhel"}, ("docker-ce",)),
        ("docker-stable", ["docker-stable", "containerd"], {"ID": "sles"}, ("docker-stable",)),
    ],
)
def test_an_engine_that_somebody_chose(
    engine: str,
    installed: list[str],
    os_release: dict[str, str],
    chosen: tuple[str, ...] | None,
) -> None:
    assert packages.chosen(engine, installed, os_release) == chosen


@pytest.mark.parametrize(
    ("wanted", "version", "versions"),
    [
        (("docker-ce", "docker-ce-cli", "containerd.io"), None, None),
        (
            ("docker-ce", "docker-ce-cli", "containerd.io"),
            "3:29.7.2-1.el9",
            {"docker-ce": "3:29.7.2-1.el9", "docker-ce-cli": "29.7.2-1.el9"},
        ),
        (("docker.io", "docker-cli"), "26.1", {"docker.io": "26.1", "docker-cli": "26.1"}),
        # Fedora's client is another source package
        (("moby-engine", "docker-cli"), "28.5.1", {"moby-engine": "28.5.1"}),
    ],
)
def test_which_packages_have_the_engines_version(
    wanted: tuple[str, ...], version: str | None, versions: dict[str, str] | None
) -> None:
    assert packages.versions(wanted, version) == versions


def test_podmans_docker_is_in_the_way() -> None:
    assert packages.conflict(["docker-ce"], ["runc", "docker-cli"]) is None
    said = packages.conflict(["docker-ce"], ["podman-docker"])
    assert said is not None
    assert said.startswith("podman-docker is installed, whose program docker is Podman's")


def test_mirantis_repository_is_by_channel() -> None:
    repository = source.mcr_repository({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, "stable-25.0")
    assert (repository.suite, repository.components) == ("noble", ("stable-25.0",))
    assert repository.packages[0] == "docker-ee"


@pytest.mark.parametrize(
    ("os_release", "url"),
    [
        ({"ID": "rhel", "VERSION_ID": "9.6"}, "rhel/9/$basearch/stable-29.4"),
        ({"ID": "rocky", "VERSION_ID": "8.10"}, "rocky/8/$basearch/stable-29.4"),
        ({"ID": "sles", "VERSION_ID": "15.6"}, "sles/15/$basearch/stable-29.4"),
    ],
)
def test_mirantis_rpm_repository(os_release: dict[str, str], url: str) -> None:
    repository = source.mcr_repository(os_release, "stable-29.4")
    assert repository.url == f"https://repos.mirantis.com/{url}"
    assert repository.key == f"https://repos.mirantis.com/{os_release['ID']}/gpg"
    assert repository.fingerprint == source.MCR_RPM_FINGERPRINT


@pytest.mark.parametrize(
    "os_release",
    [
        {"ID": "debian", "VERSION_CODENAME": "trixie"},
        {"ID": "ubuntu"},
        {"ID": "rhel", "VERSION_ID": "10.1"},
        {"ID": "rocky"},
        {"ID": "almalinux", "ID_LIKE": "rhel centos fedora", "VERSION_ID": "9.6"},
        {"ID": "sles", "VERSION_ID": "16.0"},
        {"ID": "opensuse-leap", "VERSION_ID": "15.6"},
        {"ID": "fedora", "VERSION_ID": "43"},
        {},
    ],
)
def test_mirantis_has_nothing_for_others(os_release: dict[str, str]) -> None:
    with pytest.raises(NotBuiltFor, match="ubuntu jammy, noble; rhel 8, 9; rocky 8, 9; sles 15"):
        source.mcr_repository(os_release, "stable-29.4")
