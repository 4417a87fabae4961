"""A repository on a host: its files, what else the host says of it, and what has to be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files.whole_file import Change
from kubenode.packages import apt_sources, repository_change, repository_files
from kubenode.packages.repository_change import Host
from kubenode.packages.signing_key import SigningKey
from kubenode.packages.source import Repository

REPOSITORY = Repository(
    name="docker",
    url="https://download.docker.com/linux/debian",
    components=("stable",),
    key="/keys/docker.asc",
    fingerprint="A" * 40,
)
KEY = SigningKey("A" * 40, None, b"the key\n")
SOURCES = "/etc/apt/sources.list.d/docker.sources"
KEYRING = "/etc/apt/keyrings/docker.asc"
WRITTEN = (
    "# by kubenode: what is changed here, the next run changes back\n"
    "Types: deb\n"
    "URIs: https://download.docker.com/linux/debian\n"
    "Suites: trixie\n"
    "Components: stable\n"
    "Architectures: amd64\n"
    f"Signed-By: {KEYRING}\n"
)
LISTS = ("download.docker.com_linux_debian_dists_trixie_InRelease",)
FRESH = Host("apt-get", "amd64", {"ID": "debian", "VERSION_CODENAME": "trixie"}, {})
DONE = replace(FRESH, files={KEYRING: "the key\n", SOURCES: WRITTEN}, lists=LISTS)


def with_file(path: str, text: str, host: Host = FRESH) -> Host:
    return replace(host, files={**host.files, path: text})


def test_a_fresh_host_gets_the_key_then_the_source_then_its_lists() -> None:
    to_do = repository_change.present(REPOSITORY, KEY, FRESH)
    assert to_do.files == (
        Change(KEYRING, None, b"the key\n"),
        Change(SOURCES, None, WRITTEN.encode()),
    )
    assert (to_do.suite, to_do.fetches, to_do.blocked) == ("trixie", True, None)


def test_what_is_there_is_left_alone_and_what_is_not_is_done() -> None:
    assert repository_change.present(REPOSITORY, KEY, DONE).is_empty
    other_key = replace(KEY, content=b"with a new date\n")
    assert [c.path for c in repository_change.present(REPOSITORY, other_key, DONE).files] == [
        KEYRING
    ]
    unfetched = repository_change.present(REPOSITORY, KEY, replace(DONE, lists=()))
    assert (unfetched.files, unfetched.fetches) == ((), True)
    edited = with_file(SOURCES, WRITTEN + "Trusted: yes\n", DONE)
    [change] = repository_change.present(REPOSITORY, KEY, edited).files
    assert change.new == WRITTEN.encode()


@pytest.mark.parametrize(
    ("fields", "host", "says"),
    [
        ({"components": ()}, FRESH, "no components"),
        ({}, replace(FRESH, os_release={}), "set suite"),
        ({"url": "https://x.example.com/$releasever"}, FRESH, "does not fill in"),
        ({}, replace(FRESH, manager="dnf"), "is one for apt"),
        ({}, replace(FRESH, unreadable=["/etc/apt/sources.list.d"]), "nobody knows"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    fields: dict[str, Any], host: Host, says: str
) -> None:
    to_do = repository_change.present(replace(REPOSITORY, **fields), KEY, host)
    assert says in (to_do.blocked or "")
    assert not to_do.files


URL = "https://download.docker.com/linux/debian"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("docker.list", f"# Docker\ndeb [arch=amd64] {URL} trixie stable\n", 2),
        ("docker.list", f"deb {URL}/ trixie stable", 1),
        ("docker-ce.list", f"deb [signed-by=/usr/share/keyrings/docker.gpg] {URL} trixie test", 1),
        ("x.list", f"deb-src {URL} trixie stable", 1),
        ("x.sources", f"Types: deb\nURIs: {URL}\nSuites: sid trixie\nComponents: stable\n", 1),
        (
            "x.sources",
            f"\n\nTypes: deb deb-src\nURIs: http://a.example.com\n {URL}/\nSuites: trixie\n"
            "Components: stable\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n",
            3,
        ),
        ("x.sources", "types: deb\nuris: HTTPS://Download.Docker.com/linux/debian\n"
         "suites: trixie", 1),
    ],
)  # fmt: skip
def test_an_entry_with_another_key_is_found_before_apt_refuses_all(
    path: str, text: str, line: int
) -> None:
    place = f"/etc/apt/sources.list.d/{path}"
    to_do = repository_change.present(REPOSITORY, KEY, with_file(place, text))
    assert (to_do.blocked or "").startswith(f"{place}:{line} has ")
    assert "Conflicting values set for option Signed-By" in (to_do.blocked or "")


@pytest.mark.parametrize(
    "text",
    [
        f"# deb {URL} trixie stable",
        f"deb {URL} bookworm stable",
        "deb https://download.docker.com/linux/ubuntu trixie stable",
        f"deb [signed-by={KEYRING}] {URL} trixie test",
        f"deb [signed-by={KEYRING} {URL} trixie stable",
        "deb",
        "[deb]\n\x00",
    ],
)
def test_an_entry_that_is_no_other_is_none(text: str) -> None:
    host = with_file("/etc/apt/sources.list.d/x.list", text)
    to_do = repository_change.present(REPOSITORY, KEY, host)
    assert (to_do.blocked, to_do.warnings) == (None, ())


def test_a_stanza_that_is_switched_off_is_none() -> None:
    text = f"Enabled: no\nTypes: deb\nURIs: {URL}\nSuites: trixie\nComponents: stable\n"
    host = with_file("/etc/apt/sources.list.d/x.sources", text)
    assert repository_change.present(REPOSITORY, KEY, host).blocked is None


def test_the_same_entry_twice_is_a_warning() -> None:
    host = with_file("/etc/apt/sources.list", f"deb [signed-by={KEYRING}] {URL} trixie stable")
    to_do = repository_change.present(REPOSITORY, KEY, host)
    assert to_do.blocked is None
    assert "/etc/apt/sources.list:1 has" in to_do.warnings[0]


def test_it_goes_with_its_key_unless_another_source_names_that() -> None:
    assert [c.path for c in repository_change.absent("docker", DONE).files] == [SOURCES, KEYRING]
    assert repository_change.absent("docker", FRESH).is_empty
    used = with_file(
        "/etc/apt/sources.list.d/x.list", f"deb [signed-by={KEYRING}] {URL} sid test", DONE
    )
    to_do = repository_change.absent("docker", used)
    assert [change.path for change in to_do.files] == [SOURCES]
    assert "x.list:1 is signed by it" in to_do.warnings[0]
    blind = replace(FRESH, unreadable=[SOURCES])
    assert "cannot read" in (repository_change.absent("docker", blind).blocked or "")


@pytest.mark.parametrize("manager", ["dnf", "zypper"])
def test_an_rpm_repository(manager: str) -> None:
    rpm = Repository(
        name="docker",
        url="https://download.docker.com/linux/rhel/9/$basearch/stable",
        key="/keys/docker.asc",
        fingerprint="A" * 40,
    )
    host = Host(manager, None, {"ID": "rhel"}, {})
    key, source = repository_change.present(rpm, KEY, host).files
    assert key.path == "/etc/pki/rpm-gpg/RPM-GPG-KEY-docker"
    directory = {"dnf": "/etc/yum.repos.d", "zypper": "/etc/zypp/repos.d"}[manager]
    assert source.path == f"{directory}/docker.repo"
    lines = (source.new or b"").decode().splitlines()
    assert {"[docker]", "gpgcheck=1", "repo_gpgcheck=0", f"gpgkey=file://{key.path}"} < set(lines)
    other = with_file(f"{directory}/docker-ce.repo", "[x]\na=b\n[docker]\n", host)
    assert "docker-ce.repo:3" in (repository_change.present(rpm, KEY, other).blocked or "")


@pytest.mark.parametrize(
    ("url", "suite", "name"),
    [
        (URL, "trixie", "download.docker.com_linux_debian_dists_trixie_"),
        ("http://10.0.0.1:8080/a_b", "x/", "10.0.0.1:8080_a%5fb_x_"),
        ("file:///srv/mirror", "trixie", "_srv_mirror_dists_trixie_"),
    ],
)
def test_what_apt_calls_the_lists_of_a_repository(url: str, suite: str, name: str) -> None:
    assert apt_sources.list_name(url, suite) == name


@given(st.text(max_size=200))
def test_no_file_of_sources_raises_anything(text: str) -> None:
    for path in ("/etc/apt/sources.list", "/etc/apt/sources.list.d/x.sources"):
        for entry in apt_sources.entries({path: text, "/x.list": f"deb {text}"}):
            assert entry.url
            assert entry.line >= 1


def test_no_field_of_a_repository_gets_a_line_of_its_own() -> None:
    text = repository_files.source_file(REPOSITORY, "apt-get", "trixie", "amd64", KEYRING)
    assert [line.partition(":")[0] for line in text.splitlines()[1:]] == [
        "Types", "URIs", "Suites", "Components", "Architectures", "Signed-By",
    ]  # fmt: skip
