"""What has to be done so that containerd finds each registry's file."""

from __future__ import annotations

import hashlib

import pytest
from packaging.version import Version

from kubenode.runtimes.containerd.hosts_toml import files_of
from kubenode.runtimes.containerd.registry_plan import (
    FileNow,
    RegistriesNow,
    RegistryPlan,
    registry_plan,
)

VERSION = Version("2.1.9")
CERTS = "/etc/containerd/certs.d"
FILES = files_of({"server": "https://a", "host": {"https://m": {}}}, VERSION)
TEXT = FILES.text.encode()
WITH_CA = files_of({"server": "https://a", "ca": "-----BEGIN CERTIFICATE-----\n"}, VERSION)


def sum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def now(
    config_path: str = CERTS,
    listed: dict[str, list[str] | None] | None = None,
    files: dict[str, FileNow | None] | None = None,
) -> RegistriesNow:
    return RegistriesNow(config_path, {} if listed is None else listed, files or {})


def plan(
    name: str, there: RegistriesNow, version: Version = VERSION, remove: bool = False
) -> RegistryPlan:
    return registry_plan({name: None if remove else FILES}, there, version)


def test_a_new_file_goes_where_containerd_looks_first() -> None:
    for name, folder in (("docker.io", "docker.io"), ("r:5000", "r_5000_"), ("_default",) * 2):
        found = plan(name, now(listed={CERTS: []}))
        assert [(each.path, each.secret) for each in found.changes] == [
            (f"{CERTS}/{folder}/hosts.toml", True)
        ]
        assert not found.states_directory


def test_a_directory_that_exists_and_counts_is_used() -> None:
    found = plan("r:5000", now(listed={CERTS: ["r:5000"]}))
    assert found.changes[0].path == f"{CERTS}/r:5000/hosts.toml"
    found = plan("r:5000", now(listed={CERTS: ["r:5000", "r_5000_"]}))
    assert found.changes[0].path == f"{CERTS}/r_5000_/hosts.toml"


def test_what_is_there_and_private_is_left() -> None:
    path = f"{CERTS}/docker.io/hosts.toml"
    listed: dict[str, list[str] | None] = {CERTS: ["docker.io"]}
    same = now(listed=listed, files={path: FileNow(sum_of(TEXT), private=True)})
    assert plan("docker.io", same).is_empty
    opened = now(listed=listed, files={path: FileNow(sum_of(TEXT), private=False)})
    assert [each.was for each in plan("docker.io", opened).changes] == [sum_of(TEXT)]
    other = now(listed=listed, files={path: FileNow(sum_of(b"x"), private=True)})
    assert [each.was for each in plan("docker.io", other).changes] == [sum_of(b"x")]
    empty = now(listed=listed, files={path: FileNow(sum_of(b""), private=True)})
    assert [each.was for each in plan("docker.io", empty).changes] == ["-"]


@pytest.mark.parametrize("state", [None, FileNow(None, private=True)])
def test_a_file_that_cannot_be_read_is_not_replaced(state: FileNow | None) -> None:
    path = f"{CERTS}/docker.io/hosts.toml"
    found = plan("docker.io", now(listed={CERTS: ["docker.io"]}, files={path: state}))
    assert found.blocked is not None
    assert path in found.blocked


def test_certificates_come_first_and_those_of_before_go_last() -> None:
    folder = f"{CERTS}/docker.io"
    files: dict[str, FileNow | None] = {
        f"{folder}/kubenode-2.pem": FileNow(sum_of(b"x"), private=True),
        f"{CERTS}/other/kubenode-2.pem": FileNow(sum_of(b"x"), private=True),
    }
    there = now(listed={CERTS: ["docker.io", "other"]}, files=files)
    found = registry_plan({"docker.io": WITH_CA}, there, VERSION)
    assert [(each.path, each.new is None) for each in found.changes] == [
        (f"{folder}/kubenode-1.pem", False),
        (f"{folder}/hosts.toml", False),
        (f"{folder}/kubenode-2.pem", True),
    ]


def test_where_no_directory_is_set_it_is_stated() -> None:
    found = plan("docker.io", now(config_path="", listed={CERTS: []}))
    assert (found.states_directory, found.directory) == (True, CERTS)
    # nothing is needed to have none
    assert plan("docker.io", now(config_path="", listed={CERTS: []}), remove=True).is_empty


def test_of_two_directories_the_first_counts() -> None:
    both = now(f"{CERTS}:/etc/docker/certs.d", {"/etc/docker/certs.d": ["docker.io"]})
    assert plan("docker.io", both).changes[0].path == f"{CERTS}/docker.io/hosts.toml"
    assert not plan("docker.io", both).states_directory
    # 2.2.0 takes its own default for one path
    assert plan("docker.io", both, Version("2.2.0")).states_directory
    assert not plan("docker.io", both, Version("2.2.1")).states_directory
    assert plan("docker.io", both, remove=True).moved == ("/etc/docker/certs.d/docker.io",)
    assert "would hide docker.io" in str(plan("_default", both).blocked)


def test_a_registry_goes_with_each_of_its_directories() -> None:
    there = now(listed={CERTS: ["r:5000", "r_5000_", "r"]})
    assert plan("r:5000", there, remove=True).moved == (f"{CERTS}/r_5000_", f"{CERTS}/r:5000")
    assert plan("x", there, remove=True).is_empty


def test_what_is_not_known_is_not_changed() -> None:
    assert "cannot read" in str(plan("docker.io", now(listed={CERTS: None})).blocked)
    assert "no absolute path" in str(plan("docker.io", now(config_path="certs.d")).blocked)
    assert "_default" in str(plan("_default", now(), Version("1.5.9")).blocked)
