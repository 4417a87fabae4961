"""Repositories as data: what they may say, and Docker's for each kind of host."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.packages.source import (
    DOCKER_DEB_FINGERPRINT,
    DOCKER_RPM_FINGERPRINT,
    NotBuiltFor,
    Repository,
    codename,
    docker_repository,
)

FIELDS: dict[str, Any] = {
    "name": "docker",
    "url": "https://mirror.example.com/linux/debian/",
    "components": ("stable",),
    "key": "/etc/keys/docker.asc",
    "fingerprint": "9dc8 5822 9fc7 dd38 854a  e2d8 8d81 803c 0ebf cd88",
}


def test_what_is_written_in_other_ways_is_alike() -> None:
    repository = Repository(**FIELDS)
    assert repository.fingerprint == DOCKER_DEB_FINGERPRINT
    assert repository.url == "https://mirror.example.com/linux/debian"
    assert Repository(**FIELDS | {"components": ["stable", "stable"]}) == repository
    assert hash(repository) == hash(Repository(**FIELDS | {"url": repository.url}))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "../docker", "names files"),
        ("name", "Docker", "names files"),
        ("name", "docker\n", "names files"),
        ("name", "", "names files"),
        ("name", None, "is text"),
        ("url", "ftp://mirror.example.com/x", "https, http or file"),
        ("url", "mirror.example.com/x", "https, http or file"),
        ("url", "https:///x", "names no server"),
        ("url", "file://server/x", "a folder on the host"),
        ("url", "https://bob:secret@mirror.example.com/x", "everybody on the host could read"),
        ("url", "https://mirror.example.com/x y", "https, http or file"),
        ("url", "https://mirror.example.com/x\nTrusted: yes", "https, http or file"),
        ("url", "https://mirror.example.com/x?y=z", "without '?'"),
        ("key", "http://mirror.example.com/gpg", "https URL"),
        ("key", "", "a path"),
        ("key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "not with"),
        ("fingerprint", "0EBFCD88", "40 or 64"),
        ("fingerprint", "g" * 40, "40 or 64"),
        ("suite", "trixie main", "a word"),
        ("suite", "../x", "a word"),
        ("suite", "./", "a word"),
        ("components", "stable", "a list of words"),
        ("components", ("stable\nTrusted: yes",), "is no word"),
        ("packages", ("-o", "x"), "is no"),
        ("packages", "containerd.io", "a list of words"),
        ("packages", (1,), "is no word"),
    ],
)
def test_what_no_repository_can_be_is_an_error(field: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        Repository(**FIELDS | {field: value})
    assert "secret" not in str(error.value)


def test_a_suite_that_is_a_folder_has_no_components() -> None:
    assert Repository(**FIELDS | {"suite": "stable/", "components": ()}).suite == "stable/"
    assert Repository(**FIELDS | {"suite": "/", "components": ()}).suite == "/"
    with pytest.raises(ValueError, match="no components"):
        Repository(**FIELDS | {"suite": "stable/"})


@given(st.sampled_from(sorted(FIELDS)), st.text(max_size=30))
def test_no_text_gets_a_line_of_its_own_into_a_file(field: str, text: str) -> None:
    try:
        repository = Repository(**FIELDS | {field: (text,) if field == "components" else text})
    except ValueError:
        return
    for value in (repository.name, repository.url, repository.suite, *repository.components):
        assert not set(value or "") & set("\n\r\t #[]" if value != repository.url else "\n\r\t #")


def release(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs}


@pytest.mark.parametrize(
    ("os_release", "url", "suite"),
    [
        ("ID=debian; VERSION_ID=12; VERSION_CODENAME=bookworm", "debian", "bookworm"),
        ("ID=debian; VERSION_ID=13; VERSION_CODENAME=trixie", "debian", "trixie"),
        (
            "ID=ubuntu; ID_LIKE=debian; VERSION_ID=24.04; VERSION_CODENAME=noble; "
            "UBUNTU_CODENAME=noble",
            "ubuntu",
            "noble",
        ),
        # Linux Mint and Pop!_OS, which are made of Ubuntu, and Mint's edition of Debian
        (
            "ID=linuxmint; ID_LIKE=ubuntu debian; VERSION_CODENAME=wilma; UBUNTU_CODENAME=noble",
            "ubuntu",
            "noble",
        ),
        ("ID=pop; ID_LIKE=ubuntu debian; VERSION_CODENAME=jammy", "ubuntu", "jammy"),
        (
            "ID=linuxmint; ID_LIKE=debian; VERSION_CODENAME=faye; DEBIAN_CODENAME=bookworm",
            "debian",
            "bookworm",
        ),
        ("ID=rhel; ID_LIKE=fedora; VERSION_ID=9.4", "rhel/9/$basearch/stable", None),
        ("ID=centos; ID_LIKE=rhel fedora; VERSION_ID=10", "centos/10/$basearch/stable", None),
        ("ID=rocky; ID_LIKE=rhel centos fedora; VERSION_ID=9.6", "rhel/9/$basearch/stable", None),
        ("ID=almalinux; ID_LIKE=rhel centos fedora; VERSION_ID=10.1",
         "rhel/10/$basearch/stable", None),
        ("ID=ol; ID_LIKE=fedora; VERSION_ID=8.10", "rhel/8/$basearch/stable", None),
        ("ID=eurolinux; ID_LIKE=rhel fedora centos; VERSION_ID=9.2",
         "rhel/9/$basearch/stable", None),
        ("ID=fedora; VERSION_ID=44", "fedora/44/$basearch/stable", None),
    ],
)  # fmt: skip
def test_dockers_repository_of_a_host(os_release: str, url: str, suite: str | None) -> None:
    repository = docker_repository(release(os_release))
    assert repository.url == f"https://download.docker.com/linux/{url}"
    assert repository.suite == suite
    assert repository.packages == ("containerd.io",)
    is_deb = suite is not None
    assert repository.fingerprint == (DOCKER_DEB_FINGERPRINT if is_deb else DOCKER_RPM_FINGERPRINT)
    assert repository.components == (("stable",) if is_deb else ())
    assert repository.key == f"https://download.docker.com/linux/{url.split('/')[0]}/gpg"


@pytest.mark.parametrize(
    "os_release",
    [
        "ID=sles; ID_LIKE=suse; VERSION_ID=15.6; PRETTY_NAME=SLES 15",
        "ID=opensuse-tumbleweed; ID_LIKE=opensuse suse",
        "ID=debian; VERSION_CODENAME=forky",
        "ID=debian",
        "ID=kali; ID_LIKE=debian; VERSION_CODENAME=kali-rolling",
        "ID=raspbian; ID_LIKE=debian; VERSION_CODENAME=bookworm",
        "ID=amzn; ID_LIKE=fedora; VERSION_ID=2023",
        "ID=amzn; ID_LIKE=centos rhel fedora; VERSION_ID=2",
        "ID=rhel; VERSION_ID=7.9",
        "ID=fedora; VERSION_ID=rawhide",
        "ID=flatcar; ID_LIKE=coreos; VERSION_ID=4081.2",
        "ID=arch",
        "",
    ],
)
def test_a_host_that_docker_builds_nothing_for_is_told_what_else_there_is(os_release: str) -> None:
    with pytest.raises(NotBuiltFor, match="distribution's package, upstream's release archive"):
        docker_repository(release(os_release))


def test_a_mirror_and_a_suite_that_is_newer_than_the_tables() -> None:
    forky = release("ID=debian; VERSION_CODENAME=forky")
    repository = docker_repository(
        forky, url="http://10.0.0.1/linux/", suite="forky", key="docker.asc", channel="test"
    )
    assert repository.url == "http://10.0.0.1/linux/debian"
    assert (repository.suite, repository.components) == ("forky", ("test",))
    assert repository.key == "docker.asc"
    with pytest.raises(ValueError, match="channel 'edge'"):
        docker_repository(forky, channel="edge")  # type: ignore[arg-type]


def test_a_code_name_that_is_none_is_not_taken() -> None:
    assert codename({"ID": "debian", "VERSION_CODENAME": "a b"}) is None
    assert codename({}) is None
