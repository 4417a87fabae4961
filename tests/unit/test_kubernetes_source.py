"""Kubernetes' repositories: one for each minor release, a mirror, and what gives way to them."""

from __future__ import annotations

import pytest

from kubenode.packages import apt_sources
from kubenode.packages.kubernetes_source import (
    FINGERPRINT,
    PACKAGES,
    UPSTREAM,
    KubernetesSource,
    kubernetes_source,
    others_of_apt,
)

OWN = "/etc/apt/sources.list.d/kubernetes.sources"
LIST = "/etc/apt/sources.list.d/kubernetes.list"
MIRROR = KubernetesSource("https://mirror.example.org/k8s-{version}-{format}", key="files/k8s.asc")


def test_each_minor_release_has_its_own_address() -> None:
    deb = UPSTREAM.repository((1, 37), "apt-get")
    assert deb.url.endswith("/core:/stable:/v1.37/deb")
    assert deb.suite == "/"
    assert deb.key == f"{deb.url}/Release.key"
    assert deb.fingerprint == FINGERPRINT
    assert deb.packages == PACKAGES
    rpm = UPSTREAM.repository((1, 36), "dnf")
    assert rpm.url.endswith("/v1.36/rpm")
    assert rpm.suite is None
    assert rpm.signs_metadata
    assert rpm.key == f"{rpm.url}/repodata/repomd.xml.key"


def test_the_lists_of_a_flat_repository_have_apts_name() -> None:
    """As /var/lib/apt/lists has it: one "_" for each slash, and ":" stays."""
    assert (
        apt_sources.list_name("https://mirror.example.org/core:/v1.37/deb", "/")
        == "mirror.example.org_core:_v1.37_deb_"
    )
    assert apt_sources.list_name("http://m.example.org/x", "./") == "m.example.org_x_._"


def test_a_mirror_says_where_the_release_stands() -> None:
    assert kubernetes_source("upstream") is UPSTREAM
    made = kubernetes_source({"url": MIRROR.url, "key": "files/k8s.asc"})
    assert made == MIRROR
    assert made.repository((1, 37), "apt-get").url == "https://mirror.example.org/k8s-v1.37-deb"
    assert kubernetes_source(made) is made


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ("docker", "'upstream' or a dict"),
        (3, "'upstream' or a dict"),
        ({"url": "https://mirror.example.org/v1.37/deb"}, "'{version}' stands in it"),
        ({"url": "ftp://mirror.example.org/{version}"}, "an https, http or file URL"),
        ({"url": "https://u:p@mirror.example.org/{version}"}, "user or password"),
        ({"adress": "x"}, "no such field: adress"),
        ({"fingerprint": "9A296436"}, "a key id is not enough"),
        ({"key": 3}, "key is text"),
    ],
)
def test_another_source_is_an_error(stated: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        kubernetes_source(stated)


def test_entries_of_other_releases_give_way() -> None:
    old = "deb [signed-by=/k.gpg] https://mirror.example.org/k8s-v1.35-deb/ /\n"
    files = {
        LIST: f"# as documented\n{old}",
        OWN: "Types: deb\nURIs: https://mirror.example.org/k8s-v1.36-deb\nSuites: /\n",
        "/etc/apt/sources.list": f"deb http://mirror.example.org/debian trixie main\n{old}",
        "/etc/apt/sources.list.d/k.sources": "Types: deb\nURIs: "
        + UPSTREAM.repository((1, 34), "apt-get").url
        + "\nSuites: /\n",
    }
    found = others_of_apt(MIRROR, files, OWN)
    assert found.blocked is None
    assert found.files == {
        LIST: None,
        "/etc/apt/sources.list": "deb http://mirror.example.org/debian trixie main\n",
        "/etc/apt/sources.list.d/k.sources": None,
    }
    assert f"{LIST}:2" in found.places
    assert others_of_apt(MIRROR, {OWN: files[OWN]}, OWN).files == {}


def test_a_stanza_beside_another_is_for_its_owner_to_take_out() -> None:
    path = "/etc/apt/sources.list.d/all.sources"
    text = (
        "Types: deb\nURIs: http://mirror.example.org/debian\nSuites: trixie\nComponents: main\n\n"
        "Types: deb\nURIs: https://mirror.example.org/k8s-v1.35-deb\nSuites: /\n"
    )
    found = others_of_apt(MIRROR, {path: text}, OWN)
    assert found.files == {}
    assert f"{path}:6 has Kubernetes' packages beside others" in (found.blocked or "")


def test_another_repository_of_the_server_stays() -> None:
    line = "deb https://mirror.example.org/k8s-v1.35-deb-extra/ /\n"
    assert others_of_apt(MIRROR, {LIST: line}, OWN).files == {}
