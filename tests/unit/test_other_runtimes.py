"""Which other runtime a host has, who uses it, and what keeps containerd from being set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.facts import runtimes
from kubenode.runtimes import other_runtimes
from kubenode.runtimes.other_runtimes import NONE, RuntimesShape
from kubenode.runtimes.runtime import CONTAINERD, CRIO, DOCKER, MCR, Runtime, path_of
from kubenode.wire.reading import Reading, Readings

CRIO_SOCKET = "unix:///var/run/crio/crio.sock"
CRI_DOCKERD = "unix:///run/cri-dockerd.sock"
CONTAINERD_SOCKET = "unix:///run/containerd/containerd.sock"


def shape(**changes: Any) -> RuntimesShape:
    return {**NONE, **changes}  # type: ignore[typeddict-item]


def unit(active: str = "inactive", enabled: bool = False, *listens: str) -> dict[str, Any]:
    return {"active": active, "enabled": enabled, "listens": list(listens)}


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (
            shape(
                units={"crio.service": unit("active", True)},
                sockets=["/run/crio/crio.sock"],
                kubelet_endpoint=CRIO_SOCKET,
                crictl_endpoint="unix:///run/crio/crio.sock",
            ),
            "CRI-O runs here (crio.service is active; "
            "kubelet and /etc/crictl.yaml point at /var/run/crio/crio.sock)",
        ),
        (
            shape(units={"crio.service": unit(enabled=True)}),
            "CRI-O starts at boot here (crio.service is enabled)",
        ),
        # restarted again and again, and on its way down: it is there all the same
        (
            shape(units={"crio.service": unit("activating")}),
            "CRI-O runs here (crio.service is activating)",
        ),
        (
            shape(sockets=["/run/cri-dockerd.sock"]),
            "cri-dockerd seems to run here (/run/cri-dockerd.sock exists)",
        ),
        (
            shape(units={"cri-docker.socket": unit(enabled=True)}),
            "cri-dockerd starts at boot here (cri-docker.socket is enabled)",
        ),
        (
            shape(kubelet_endpoint=CRI_DOCKERD),
            "cri-dockerd is used here (kubelet points at /run/cri-dockerd.sock)",
        ),
        (
            shape(crictl_endpoint=CRIO_SOCKET),
            "CRI-O is used here (/etc/crictl.yaml points at /var/run/crio/crio.sock)",
        ),
        # a place of its own, which its socket unit states
        (
            shape(
                units={"cri-docker.socket": unit("inactive", False, "/run/x.sock")},
                kubelet_endpoint="unix:///run/x.sock",
            ),
            "cri-dockerd is used here (kubelet points at /run/x.sock)",
        ),
    ],
)
def test_what_is_in_use_is_named_with_who_uses_it(host: RuntimesShape, message: str) -> None:
    assert other_runtimes.refusal(host, CONTAINERD) == (message, other_runtimes.remedy(CONTAINERD))


def test_two_of_them_are_both_named() -> None:
    host = shape(
        units={"crio.service": unit("active"), "cri-docker.service": unit("active")},
    )
    problem = other_runtimes.refusal(host, CONTAINERD)
    assert problem
    assert "CRI-O runs here" in problem[0]
    assert "cri-dockerd runs here" in problem[0]


@pytest.mark.parametrize(
    "host",
    [
        NONE,
        shape(kubelet_endpoint="unix:///run/containerd/containerd.sock", programs=[]),
        shape(kubelet_endpoint="unix:///run/mine/containerd.sock"),
        # another socket beside a containerd may be that containerd's
        shape(kubelet_endpoint="unix:///run/x.sock", programs=["containerd"]),
        shape(crictl_endpoint="unix:///var/run/dockershim.sock"),
    ],
)
def test_hosts_of_containerd_pass_without_a_word(host: RuntimesShape) -> None:
    assert other_runtimes.refusal(host, CONTAINERD) is None
    assert other_runtimes.warnings(host, CONTAINERD) == []


@pytest.mark.parametrize(
    "host",
    [
        shape(programs=["crio"]),
        shape(units={"crio.service": unit()}),
        shape(units={"crio.service": unit("failed")}),
    ],
)
def test_what_is_installed_only_is_a_warning(host: RuntimesShape) -> None:
    assert other_runtimes.refusal(host, CONTAINERD) is None
    ((found, _),) = other_runtimes.warnings(host, CONTAINERD)
    assert found.startswith("CRI-O is installed here (")


def test_unknown_is_not_absent() -> None:
    problem = other_runtimes.refusal(shape(unknown=["systemd does not say"]), CONTAINERD)
    assert problem == (
        "cannot tell whether another runtime runs here: systemd does not say",
        "see on the host why, then run this again",
    )
    # whom kubelet uses decides only where it may be another one
    lost = ["cannot read /etc/crictl.yaml"]
    assert other_runtimes.refusal(shape(users_unknown=lost), CONTAINERD) is None
    assert (
        "cannot read /etc/crictl.yaml"
        in other_runtimes.warnings(shape(users_unknown=lost), CONTAINERD)[0][0]
    )
    problem = other_runtimes.refusal(shape(users_unknown=lost, programs=["crio"]), CONTAINERD)
    assert problem
    assert problem[0].startswith("cannot tell whether CRI-O is installed here (the program crio)")


def test_an_endpoint_of_nobodys_is_a_runtime_where_there_is_no_containerd() -> None:
    problem = other_runtimes.refusal(shape(kubelet_endpoint="unix:///run/x.sock"), CONTAINERD)
    assert problem
    assert "kubelet is told to use the runtime at unix:///run/x.sock" in problem[0]


def read(
    units: Mapping[str, list[str]] | None = None,
    files: Mapping[str, str] | None = None,
    unreadable: frozenset[str] = frozenset(),
    **values: str,
) -> RuntimesShape:
    """The fact's part of a host with these units and files."""
    texts = {f"unit:{name}": lines for name, lines in (units or {}).items()}
    exact = {path: text.encode() for path, text in (files or {}).items()}
    texts |= {path: text.splitlines() for path, text in (files or {}).items()}
    reading = Reading({"programs": "", "sockets": "", **values}, texts, exact, unreadable)
    return runtimes.parse(Readings({runtimes.PROBE: reading}))


LOADED = ["LoadState=loaded", "ActiveState=inactive", "UnitFileState=disabled"]


@pytest.mark.parametrize(
    ("lines", "enabled"),
    [
        ([], False),
        (["UnitFileState=enabled"], True),
        # the link is in /run
        (["UnitFileState=enabled-runtime", "WantedBy=sockets.target"], False),
        (["UnitFileState=indirect", "WantedBy=sockets.target"], True),
        (["UnitFileState=static"], False),
        (["UnitFileState=static", "WantedBy=multi-user.target"], True),
        # a service that requires its own socket starts neither of the two
        (["RequiredBy=cri-docker.service"], False),
    ],
)
def test_what_starts_at_boot(lines: list[str], enabled: bool) -> None:
    host = read({"cri-docker.socket": [*LOADED, *lines], "cri-docker.service": LOADED})
    assert host["units"]["cri-docker.socket"]["enabled"] is enabled


def test_what_may_start_at_boot_counts_as_what_does() -> None:
    """Another runtime that comes back after a boot is worse than a host that is left out."""
    by_kubelet = {"crio.service": [*LOADED, "WantedBy=kubelet.service"]}
    for state, starts in (("enabled", True), ("disabled", False), ("bad", True)):
        kubelet = {"kubelet.service": [*LOADED, f"UnitFileState={state}"]}
        assert read({**by_kubelet, **kubelet})["units"]["crio.service"]["enabled"] is starts
    foreign = {"crio.service": [*LOADED, "WantedBy=somebody.service"]}
    assert read(foreign)["units"]["crio.service"]["enabled"] is True


def test_a_mask_that_is_gone_after_a_boot_hides_nothing() -> None:
    masked = ["LoadState=masked", "ActiveState=inactive", "UnitFileState=masked-runtime"]
    wanted = [*masked, "WantedBy=multi-user.target"]
    assert read({"crio.service": wanted})["units"]["crio.service"]["enabled"] is True
    assert read({"crio.service": masked})["units"]["crio.service"]["enabled"] is False


def test_a_masked_unit_and_one_that_is_not_there_count_for_nothing() -> None:
    for load in ("masked", "not-found"):
        assert read({"crio.service": [f"LoadState={load}", "UnitFileState=enabled"]}) == NONE


@pytest.mark.parametrize(
    "files",
    [
        {"/var/lib/kubelet/config.yaml": f"containerRuntimeEndpoint: {CRIO_SOCKET}\n"},
        {
            "/var/lib/kubelet/kubeadm-flags.env": "KUBELET_KUBEADM_ARGS="
            f'"--pod-infra-container-image=x --container-runtime-endpoint={CRIO_SOCKET}"\n'
        },
        {
            "/etc/default/kubelet": "KUBELET_EXTRA_ARGS="
            f"--container-runtime-endpoint {CRIO_SOCKET}\n",
            "/var/lib/kubelet/config.yaml": f"containerRuntimeEndpoint: {CRI_DOCKERD}\n",
        },
    ],
)
def test_what_kubelet_is_told(files: dict[str, str]) -> None:
    assert read(files=files)["kubelet_endpoint"] == CRIO_SOCKET


def test_what_kubelet_was_started_with_goes_first() -> None:
    start = [
        "LoadState=loaded",
        f"ExecStart={{ argv[]=kubelet --container-runtime-endpoint={CRIO_SOCKET} }}",
    ]
    assert read({"kubelet.service": start})["kubelet_endpoint"] == CRIO_SOCKET
    reading = Reading(
        {"programs": "", "sockets": ""},
        {
            "unit:kubelet.service": start,
            "runtimes_kubelet": [f"kubelet --container-runtime-endpoint={CRI_DOCKERD} "],
        },
    )
    host = runtimes.parse(Readings({runtimes.PROBE: reading}))
    assert host["kubelet_endpoint"] == CRI_DOCKERD


def test_a_comment_tells_kubelet_nothing() -> None:
    files = {"/etc/default/kubelet": f"# --container-runtime-endpoint={CRIO_SOCKET}\n"}
    assert read(files=files)["kubelet_endpoint"] is None


def test_sockets_and_programs_are_those_that_were_looked_for() -> None:
    host = read(sockets=" /run/crio/crio.sock /var/run/crio/crio.sock /tmp/x", programs=" crio rm")
    assert host["sockets"] == ["/run/crio/crio.sock"]
    assert host["programs"] == ["crio"]


def test_what_a_host_does_not_say_is_unknown() -> None:
    assert read(unreadable=frozenset({"unit:crio.service"}))["unknown"] == [
        "systemd does not say what it knows of crio.service"
    ]
    assert read(unreadable=frozenset({"/run/crio/crio.sock"}))["unknown"] == [
        "cannot look for /run/crio/crio.sock"
    ]
    lost = read(unreadable=frozenset({"/etc/crictl.yaml", "/var/lib/kubelet/config.yaml"}))
    assert len(lost["users_unknown"]) == 2
    broken = read(files={"/etc/crictl.yaml": "- a\n", "/var/lib/kubelet/config.yaml": "{\n"})
    assert len(broken["users_unknown"]) == 2
    assert "is missing" in str(
        runtimes.parse(Readings(otherwise="`cat` is missing on the host"))["unknown"]
    )


PREPARED = {
    "units": {"containerd.service": unit("active", True)},
    "sockets": ["/run/containerd/containerd.sock"],
    "programs": ["containerd"],
}
"""A host that kubenode has made a node with containerd."""
ENGINE = {**PREPARED, "programs": ["containerd", "dockerd"]}
SERVING = {
    "units": {**PREPARED["units"], "cri-docker.service": unit("active", True)},  # type: ignore[dict-item]
    "sockets": ["/run/containerd/containerd.sock", "/run/cri-dockerd.sock"],
    "programs": ["containerd", "dockerd", "cri-dockerd"],
    "crictl_endpoint": CRI_DOCKERD,
}


@pytest.mark.parametrize(
    ("wanted", "host", "found"),
    [
        (CRIO, shape(**PREPARED), "containerd runs here (containerd.service is active)"),
        # Docker Engine's
        (CRIO, shape(**ENGINE), None),
        (
            CRIO,
            shape(**ENGINE, kubelet_endpoint="unix:///run/containerd/containerd.sock"),
            "containerd runs here (containerd.service is active; "
            "kubelet points at /run/containerd/containerd.sock)",
        ),
        (CRIO, shape(**SERVING), "cri-dockerd runs here (cri-docker.service is active; "),
        (DOCKER, shape(**PREPARED), None),
        (
            DOCKER,
            shape(**PREPARED, crictl_endpoint="unix:///run/containerd/containerd.sock"),
            "containerd runs here (containerd.service is active; "
            "/etc/crictl.yaml points at /run/containerd/containerd.sock)",
        ),
        (DOCKER, shape(**SERVING), None),
        (MCR, shape(**SERVING), None),
        (MCR, shape(sockets=["/run/crio/crio.sock"]), "CRI-O seems to run here ("),
        (CONTAINERD, shape(**SERVING), "cri-dockerd runs here ("),
        (CONTAINERD, shape(**PREPARED), None),
    ],
)
def test_what_is_another_runtime_depends_on_the_wanted_one(
    wanted: Runtime, host: RuntimesShape, found: str | None
) -> None:
    problem = other_runtimes.refusal(host, wanted)
    if found is None:
        assert problem is None
    else:
        assert problem
        assert problem[0].startswith(found)
        assert problem[1].startswith(f"kubenode_runtime is {wanted.name}, ")


def test_a_containerd_that_may_be_used_is_not_taken_for_dockers() -> None:
    lost = {"users_unknown": ["cannot read /etc/crictl.yaml"]}
    problem = other_runtimes.refusal(shape(**PREPARED, **lost), DOCKER)
    assert problem
    assert problem[0].startswith("cannot tell whether containerd is used: cannot read")
    # control: one whose cri-dockerd runs is Docker's already
    serving = {**SERVING, "crictl_endpoint": None}
    assert other_runtimes.refusal(shape(**serving, **lost), DOCKER) is None


def test_a_kubelet_that_runs_and_is_told_nothing_uses_containerd() -> None:
    texts = {"unit:kubelet.service": LOADED}
    values = {"programs": "", "sockets": ""}
    running = Reading(values, {**texts, "runtimes_kubelet": ["/usr/bin/kubelet --v=2 "]})
    host = runtimes.parse(Readings({runtimes.PROBE: running}))
    assert host["kubelet_endpoint"] == "unix:///run/containerd/containerd.sock"
    stopped = runtimes.parse(Readings({runtimes.PROBE: Reading(values, texts)}))
    assert stopped["kubelet_endpoint"] is None


@pytest.mark.parametrize(
    ("wanted", "host", "message"),
    [
        (CONTAINERD, shape(**SERVING), None),
        (CRIO, shape(**SERVING), None),
        (DOCKER, shape(**PREPARED, kubelet_endpoint=CONTAINERD_SOCKET), None),
        # what nobody knows is not replaced
        (CRIO, shape(**SERVING, unknown=["systemd does not say"]), "cannot tell whether another"),
        (
            DOCKER,
            shape(kubelet_endpoint="unix:///run/dockershim.sock"),
            "kubelet is told to use the runtime at unix:///run/dockershim.sock",
        ),
    ],
)
def test_one_that_is_known_may_be_replaced(
    wanted: Runtime, host: RuntimesShape, message: str | None
) -> None:
    problem = other_runtimes.refusal(host, wanted, replaces=True)
    assert problem is None if message is None else problem and problem[0].startswith(message)


RUNNING = {"docker.socket": "active", "docker.service": "active"}
CONTAINERDS = {
    "units": {"containerd.service": unit("active", True)},
    "sockets": ["/run/containerd/containerd.sock"],
    "programs": ["containerd"],
    "kubelet_endpoint": CONTAINERD_SOCKET,
}
DOCKERS = {
    **SERVING,
    "units": {
        "containerd.service": unit("active", True),
        "cri-docker.service": unit("active", True),
        "cri-docker.socket": unit("active", True, "/run/cri-dockerd.sock"),
    },
}
CRIOS = {
    "units": {"crio.service": unit("active", True), "containerd.service": unit()},
    "kubelet_endpoint": CRIO_SOCKET,
}


@pytest.mark.parametrize(
    ("wanted", "host", "engine", "units"),
    [
        # containerd is Docker Engine's too
        (DOCKER, CONTAINERDS, {}, ()),
        (MCR, CONTAINERDS, RUNNING, ()),
        (CRIO, CONTAINERDS, {}, ("containerd.service",)),
        # of an engine that people use, and of one that is stopped
        (CRIO, CONTAINERDS, RUNNING, ()),
        (CRIO, CONTAINERDS, {"docker.service": "inactive"}, ("containerd.service",)),
        (
            CONTAINERD,
            DOCKERS,
            RUNNING,
            ("cri-docker.socket", "cri-docker.service", "docker.socket", "docker.service"),
        ),
        (
            CRIO,
            DOCKERS,
            RUNNING,
            (
                "cri-docker.socket",
                "cri-docker.service",
                "containerd.service",
                "docker.socket",
                "docker.service",
            ),
        ),
        (CONTAINERD, CRIOS, {}, ("crio.service",)),
        (DOCKER, CRIOS, RUNNING, ("crio.service",)),
    ],
)
def test_what_nobody_needs_any_more_is_stopped_and_dockers_containerd_is_dockers(
    wanted: Runtime, host: dict[str, Any], engine: dict[str, str], units: tuple[str, ...]
) -> None:
    found = other_runtimes.stopped(shape(**host), engine, wanted)
    assert set(found.units) == set(units)
    sockets = [unit for unit in found.units if unit.endswith(".socket")]
    services = [unit.replace(".socket", ".service") for unit in sockets]
    for socket, service in zip(sockets, services, strict=True):
        assert found.units.index(socket) < found.units.index(service)
    # the wanted one's own socket stays
    assert wanted.socket not in found.sockets


@pytest.mark.parametrize(
    ("wanted", "disabled", "units"),
    [
        (
            DOCKER,
            ["cri-docker.socket", "docker.socket", "containerd.service", "crio.service"],
            ("cri-docker.socket", "docker.socket", "containerd.service"),
        ),
        # of what there was only one was enabled
        (DOCKER, ["docker.service"], ("docker.service",)),
        (CONTAINERD, ["docker.socket", "containerd.service"], ("containerd.service",)),
        (CRIO, ["docker.socket", "containerd.service"], ()),
        # it was removed since
        (CRIO, ["crio.service"], ()),
    ],
)
def test_what_was_disabled_starts_at_boot_again_where_its_runtime_comes_back(
    wanted: Runtime, disabled: list[str], units: tuple[str, ...]
) -> None:
    host = shape(**DOCKERS)
    assert other_runtimes.enabled_again(host, RUNNING, disabled, wanted) == units


@given(st.text(max_size=60))
def test_any_endpoint_leads_somewhere_or_nowhere(endpoint: str) -> None:
    for wanted in (CONTAINERD, CRIO, DOCKER):
        for each in other_runtimes.found(shape(kubelet_endpoint=endpoint), wanted):
            assert each.name in {"containerd", "CRI-O", "cri-dockerd"} - {wanted.cri}
    assert path_of(path_of(endpoint)).count("//") == 0
