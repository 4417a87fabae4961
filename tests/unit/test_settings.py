"""Settings: what is wrong is named with its key and its place, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubenode.settings import NodeSettings, minor_release
from tests.conftest import ROOT
from tests.targets.pyinfra_cli import Result, run

Dry = Callable[..., Result]


@pytest.fixture
def dry(tmp_path: Path) -> Dry:
    """A dry run of deploy.py on this machine: nothing is changed whatever the settings are."""

    def dry_run(
        data: dict[str, Any] | None = None,
        group: dict[str, Any] | None = None,
        everyone: dict[str, Any] | None = None,
        options: dict[str, str] | None = None,
    ) -> Result:
        inventory = tmp_path / "inventory.py"
        inventory.write_text(f"workers = [('@local', {data or {}!r})]\n")
        (tmp_path / "group_data").mkdir()
        for name, values in (("workers", group), ("all", everyone)):
            lines = [f"{key} = {value!r}\n" for key, value in (values or {}).items()]
            (tmp_path / "group_data" / f"{name}.py").write_text("".join(lines))
        return run("--dry", inventory, ROOT / "deploy.py", cwd=tmp_path, data=options)

    return dry_run


def test_a_typo_names_the_key_the_host_and_the_right_name(dry: Dry) -> None:
    result = dry(data={"kubenode_module": ["overlay"]})
    assert result.returncode == 1
    assert "settings are wrong, nothing was changed" in result.output
    assert "kubenode_module (from host @local): no such setting" in result.output
    assert "did you mean kubenode_modules?" in result.output
    assert "Traceback" not in result.output
    assert "Can this host be a node?" not in result.output


@pytest.mark.parametrize(
    ("places", "where"),
    [
        ({"data": {"kubenode_cgroup_driver": "system"}}, "from host @local"),
        ({"group": {"kubenode_cgroup_driver": "system"}}, "from group workers"),
        ({"everyone": {"kubenode_cgroup_driver": "system"}}, "from group all"),
        ({"options": {"kubenode_cgroup_driver": "system"}}, "from --data"),
        (
            {
                "everyone": {"kubenode_cgroup_driver": "systemd"},
                "group": {"kubenode_cgroup_driver": "system"},
            },
            "from group workers",
        ),
    ],
)
def test_a_wrong_value_names_its_place_and_what_was_expected(
    dry: Dry, places: dict[str, Any], where: str
) -> None:
    result = dry(**places)
    assert result.returncode == 1
    assert f"kubenode_cgroup_driver ({where}): 'systemd' or 'cgroupfs'" in result.output
    assert "found 'system'" in result.output


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("kubenode_sysctls", {"net.ipv4.ip_forward": True}, "a valid integer or a valid string"),
        ("kubenode_sysctls", {"net.ipv4.*": 1}, "is not a sysctl key"),
        ("kubenode_sysctls", {"net.ipv4.ip_forward": "1\n2"}, "expected one line of text"),
        ("kubenode_sysctls", ["net.ipv4.ip_forward"], "a valid dictionary"),
        ("kubenode_sysctls_file", "/etc/k8s.conf", "would not be read at boot"),
        ("kubenode_modules", ["br netfilter"], "is not a kernel module's name"),
        ("kubenode_modules", {"overlay": 1}, "a valid list"),
        ("kubenode_modules_file", "/etc/modules-load.d/k8s", "would not be read at boot"),
        ("kubenode_containerd_hold", "yes", "a valid boolean"),
        ("kubenode_pause_image", "a b", "one word"),
        ("kubenode_kubernetes_version", "latest", "not a Kubernetes release"),
        ("kubenode_kubernetes_version", 1.36, "a valid string"),
        ("kubenode_runtime", "rkt", "'containerd'"),
    ],
)
def test_bad_values_are_refused_before_any_change(
    dry: Dry, key: str, value: object, expected: str
) -> None:
    result = dry(data={key: value})
    assert result.returncode == 1, result.output
    assert key in result.output
    assert expected in result.output
    assert "Traceback" not in result.output
    assert "Can this host be a node?" not in result.output


def test_every_mistake_is_said_at_once(dry: Dry) -> None:
    result = dry(data={"kubenode_modlues": [], "kubenode_pause_image": 3})
    assert "kubenode_modlues" in result.output
    assert "kubenode_pause_image" in result.output


def test_modules_on_the_command_line_are_separated_by_commas() -> None:
    settings = NodeSettings.model_validate({"modules": "overlay,br_netfilter, ip_vs"})
    assert settings.modules == ["overlay", "br_netfilter", "ip_vs"]


def test_the_defaults_are_the_tutorials() -> None:
    assert NodeSettings().model_dump(
        include={"modules", "sysctls", "runtime", "cgroup_driver"}
    ) == {
        "modules": ["overlay", "br_netfilter"],
        "sysctls": {
            "net.bridge.bridge-nf-call-iptables": 1,
            "net.bridge.bridge-nf-call-ip6tables": 1,
            "net.ipv4.ip_forward": 1,
        },
        "runtime": "containerd",
        "cgroup_driver": "systemd",
    }


def test_the_documented_group_data_names_every_setting() -> None:
    text = (ROOT / "inventories" / "group_data" / "all.py").read_text()
    for name, field in NodeSettings.model_fields.items():
        assert f"# kubenode_{name} = " in text
        if not isinstance(field.default, (list, dict)):
            default = f'"{field.default}"' if isinstance(field.default, str) else field.default
            assert f"# kubenode_{name} = {default}\n" in text


def test_the_page_of_settings_describes_every_one() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for name, field in NodeSettings.model_fields.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `kubenode_{name}` |")]
        assert row.endswith(f"| {field.description} |")


@pytest.mark.parametrize("version", ["", "1", "1.x", "one", "1.36.2.1", "1.36-rc1"])
def test_what_is_no_kubernetes_release(version: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes release"):
        minor_release(version)


def test_kubernetes_releases() -> None:
    assert minor_release("v1.36.2") == minor_release("1.36") == (1, 36)
