"""Settings: what is wrong is named with its key and its place, before anything is changed."""

from __future__ import annotations

import ast
import gc
import inspect
import json
import re
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pyinfra.api import Config, Host, Inventory, OperationValueError, State
from pyinfra_cli.util import parse_cli_arg

from kubenode import settings
from kubenode.audit import aim
from kubenode.operations import containerd, kernel, platform
from kubenode.settings import DEFAULTS, NodeSettings, from_option, minor_release
from tests.conftest import ROOT
from tests.targets import kubenode_cli
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
        ("kubenode_kubernetes_version", 1.30, "1.3 may have been 1.30, which is the same number"),
        ("kubenode_kubernetes_version", 136, "136 is a number: quote it"),
        ("kubenode_kubernetes_version", True, "a valid string"),
        ("kubenode_containerd_version", 1.7, "1.7 is a number: quote it"),
        ("kubenode_runtime", "rkt", "'containerd'"),
        ("kubenode_docker_source", "debian", "'distribution', 'docker', 'mcr' or a repository"),
        ("kubenode_docker_log_opts", {"max-size": 5}, "a valid string"),
        ("kubenode_docker_registry_mirrors", ["mirror"], "no http or https URL"),
        ("kubenode_cri_dockerd_source", {"version": "0.4.3"}, "a repository has the fields"),
        ("kubenode_mcr_channel", "Stable 29", "a channel such as stable-29.4"),
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


@pytest.mark.parametrize("text", ["1.36", "v1.30", '"1.30"', "1.36.2"])
def test_a_release_on_pyinfras_command_line(dry: Dry, text: str) -> None:
    result = dry(options={"kubenode_kubernetes_version": text})
    assert "Can this host be a node?" in result.output, result.output


@pytest.mark.parametrize("text", ["1.30", "1.3", "1.10", "1.4", "1", "1e5", "NaN"])
def test_a_release_that_pyinfra_made_another_number_of(dry: Dry, text: str) -> None:
    result = dry(options={"kubenode_kubernetes_version": text})
    assert result.returncode == 1
    assert "kubenode_kubernetes_version (from --data): " in result.output
    assert "Can this host be a node?" not in result.output
    # what the message says to write works
    if text.startswith("1."):
        advised = text if text.endswith("0") else f"{text}0"
        assert f"with --data as v{advised} or '\"{advised}\"'" in result.output
        assert from_option(f"kubenode_kubernetes_version=v{advised}")[1] == f"v{advised}"
        assert parse_cli_arg(f'"{advised}"') == advised


@given(st.integers(0, 99))
def test_a_number_is_the_release_it_was_written_as_or_refused(minor: int) -> None:
    written = f"1.{minor}"
    try:
        settings = NodeSettings.model_validate({"kubernetes_version": parse_cli_arg(written)})
    except ValidationError:
        assert minor < 10 or minor % 10 == 0
    else:
        assert settings.kubernetes_version == written


@given(st.text() | st.from_regex(r"[0-9.]{1,6}", fullmatch=True))
def test_our_options_are_parsed_as_pyinfra_parses_them(text: str) -> None:
    assert repr(from_option(f"a={text}")) == repr(("a", parse_cli_arg(text)))


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("kubenode_kubernetes_version=1.30", "1.30"),
        ('kubenode_kubernetes_version="1.30"', "1.30"),
        ("kubenode_containerd_version=1.70", "1.70"),
        ('kubenode_sysctls={"a.b": 1}', {"a.b": 1}),
        ('kubenode_modules=["overlay"]', ["overlay"]),
        ("kubenode_sysctls_override=True", True),
        ("kubenode_pause_image=null", None),
        ("kubenode_pause_image=none", "none"),
        ("a=b=c", "b=c"),
        ("ssh_port=2222", 2222),
    ],
)
def test_values_of_options(pair: str, value: object) -> None:
    assert from_option(pair)[1] == value


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


@pytest.mark.parametrize(
    "registries",
    [
        {"docker.io": {"host": {"https://m": {"header": {"X": "hunter2"}, "skipverify": True}}}},
        {"docker.io": ["hunter2"]},
        {"docker.io": {"header": {"X": ["hunter2", 5]}}},
        {"https://user:hunter2@docker.io": {}},
        "hunter2",
    ],
)
def test_a_mistake_in_a_registry_does_not_say_its_password(dry: Dry, registries: object) -> None:
    result = dry(data={"kubenode_registry_hosts": registries})
    assert result.returncode == 1
    assert "kubenode_registry_hosts" in result.output
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "proxy",
    [
        {"HTTPS_PROXY": "user:hunter2@proxy:3128"},
        {"HTTPS_PROXY": ["hunter2"]},
        {"https_proxy": "http://user:hunter2@proxy"},
        "hunter2",
    ],
)
def test_a_mistake_in_a_proxy_does_not_say_its_password(dry: Dry, proxy: object) -> None:
    result = dry(data={"kubenode_proxy": proxy})
    assert result.returncode == 1
    assert "kubenode_proxy" in result.output
    assert "hunter2" not in result.output
    assert "Traceback" not in result.output


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


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is validated from now on."""
    seen: list[object] = []
    validate = NodeSettings.model_validate

    def counted(data: object) -> NodeSettings:
        seen.append(data)
        return validate(data)

    monkeypatch.setattr(NodeSettings, "model_validate", counted)
    return seen


def run_of(count: int) -> list[Host]:
    """The hosts of a run."""
    hosts = [(f"host-{n}", {"kubenode_modules": ["overlay", f"m{n}"]}) for n in range(count)]
    inventory = Inventory((hosts, {}))
    State(inventory, Config())
    return list(inventory)


def test_a_host_is_validated_once_a_run(validated: list[object]) -> None:
    hosts = run_of(20)
    for _ in range(5):
        for n, host in enumerate(hosts):
            aim.check(host)
            assert settings.for_host(host).modules == ["overlay", f"m{n}"]
    assert len(validated) == 20
    # of another run nothing is known
    assert settings.for_host(run_of(1)[0]).modules == ["overlay", "m0"]
    assert len(validated) == 21


def test_nothing_is_kept_of_a_run_that_is_over() -> None:
    host = run_of(1)[0]
    settings.for_host(host)
    run_is_there = weakref.ref(host.state)
    del host
    gc.collect()
    assert run_is_there() is None


def test_what_a_deploy_sets_counts_from_then_on(validated: list[object]) -> None:
    first, second = run_of(2)
    settings.for_host(first)
    second.data.kubenode_sysctls = {"vm.swappiness": 1}
    assert settings.for_host(second).sysctls == {"vm.swappiness": 1}
    # also where Python takes both for the same
    second.data.kubenode_sysctls = {"vm.swappiness": True}
    with pytest.raises(OperationValueError, match=r"set for host-1 by the deploy"):
        settings.for_host(second)
    assert settings.for_host(first).modules == ["overlay", "m0"]
    assert len(validated) == 4


COUNTING = """
from pathlib import Path
from kubenode.settings import NodeSettings

validate = NodeSettings.model_validate

def counted(data):
    with Path({count!r}).open("a") as file:
        file.write("x")
    return validate(data)

NodeSettings.model_validate = counted
"""


def test_an_audit_validates_each_host_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    # nothing listens there
    hosts = "[('@local', {}), *((f'127.0.0.{n}', {'ssh_port': 1}) for n in range(1, 20))]"
    (tmp_path / "hosts.py").write_text(f"{COUNTING.format(count=str(count))}\nhosts = {hosts}\n")
    audit = kubenode_cli.run("audit", "hosts.py", "--format", "json", cwd=tmp_path)
    assert audit.returncode == 2, audit.output
    assert len(json.loads(audit.stdout)["hosts"]) == 20
    assert count.read_text() == 20 * "x"


def test_a_deploy_validates_a_host_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    (tmp_path / "hosts.py").write_text(
        f"{COUNTING.format(count=str(count))}\nhosts = [('@local', {{}})]\n"
    )
    (tmp_path / "both.py").write_text(
        "from kubenode.node import audit, prepare\n\naudit()\nprepare()\naudit()\n"
    )
    result = run("--dry", tmp_path / "hosts.py", tmp_path / "both.py", cwd=tmp_path)
    assert "Can this host be a node?" in result.output, result.output
    assert count.read_text() == "x"


ARGUMENTS: list[tuple[Callable[..., Any], str, str]] = [
    (kernel.modules, "persist_file", "modules_file"),
    (kernel.sysctls, "persist_file", "sysctls_file"),
    (kernel.sysctls, "override", "sysctls_override"),
    (containerd.installed, "version", "containerd_version"),
    (containerd.installed, "hold", "containerd_hold"),
    (containerd.configured, "cgroup_driver", "cgroup_driver"),
    (containerd.configured, "pause_image", "pause_image"),
    (containerd.configured, "snapshotter", "snapshotter"),
    (containerd.configured, "registry_config_path", "registry_config_path"),
    (containerd.configured, "change_driver_under_pods", "change_driver_under_pods"),
    (containerd.service, "proxy", "proxy"),
    (containerd.service, "limit_nofile", "limit_nofile"),
    (containerd.service, "restart", "restart"),
    (containerd.running, "change_driver_under_pods", "change_driver_under_pods"),
    (platform.supported, "cgroup_driver", "cgroup_driver"),
    (platform.supported, "kubernetes_version", "kubernetes_version"),
]
"""Arguments of operations that a setting has the default of."""


@pytest.mark.parametrize(("operation", "argument", "setting"), ARGUMENTS)
def test_operations_have_the_defaults_of_the_settings(
    operation: Callable[..., Any], argument: str, setting: str
) -> None:
    assert inspect.signature(operation).parameters[argument].default == getattr(DEFAULTS, setting)


def test_a_default_is_written_in_one_place() -> None:
    """Whoever changes one in settings.py has changed all: no other module has it as a default."""
    fields = NodeSettings.model_fields.values()
    # True, False and None are said by too much that is no setting
    texts = {f.default for f in fields if isinstance(f.default, str)}
    lists = [f.default for f in fields if isinstance(f.default, (list, dict)) and f.default]
    found = []
    for path in sorted({*ROOT.glob("kubenode/**/*.py"), *ROOT.glob("operations/**/*.py")}):
        if path == ROOT / "kubenode" / "settings.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            for default in _defaults(node):
                try:
                    value = ast.literal_eval(default)
                except ValueError:
                    continue
                if isinstance(value, (list, tuple, set, dict)):
                    is_stated = _same(value, lists)
                else:
                    # a constant that says containerd is the name of a unit or a program
                    is_stated = value in texts and not isinstance(node, ast.Module)
                if is_stated:
                    found.append(f"{path.relative_to(ROOT)}:{default.lineno}: {value!r}")
    assert found == []


def _defaults(node: ast.AST) -> Iterator[ast.expr]:
    """Default values of arguments and of a class's fields, and constants of a module."""
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default)
    if isinstance(node, (ast.ClassDef, ast.Module)):
        for statement in node.body:
            if isinstance(statement, (ast.AnnAssign, ast.Assign)) and statement.value:
                yield statement.value


def _same(value: Collection[Any], lists: list[Any]) -> bool:
    kinds = [list(each.items()) if isinstance(each, dict) else list(each) for each in lists]
    return (list(value.items()) if isinstance(value, dict) else list(value)) in kinds


def test_the_page_of_settings_and_the_group_data_have_the_defaults() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = {line.split("`")[1]: line.split("|")[3] for line in page.splitlines() if "| `" in line}
    group_data = (ROOT / "inventories" / "group_data" / "all.py").read_text()
    assignments = re.sub(r"^# (?=kubenode_|    \S.*,$|}$)", "", group_data, flags=re.MULTILINE)
    stated = {
        ast.unparse(line.targets[0]): ast.literal_eval(line.value)
        for line in ast.parse(assignments).body
        if isinstance(line, ast.Assign)
    }
    for name, field in NodeSettings.model_fields.items():
        row = rows[f"kubenode_{name}"]
        if isinstance(field.default, list):
            assert re.findall(r"[\w./-]+", row) == field.default
        elif isinstance(field.default, dict):
            assert all(key in row or key.startswith("net.bridge.") for key in field.default)
        else:
            assert row.strip() == f"`{field.default}`"
        if name != "waivers":
            # there an example stands
            assert stated[f"kubenode_{name}"] == field.default


@pytest.mark.parametrize("runtime", ["cri-o", "podman", "Containerd", "", 3, None, ["containerd"]])
def test_a_runtime_that_kubenode_does_not_prepare(dry: Dry, runtime: object) -> None:
    result = dry(data={"kubenode_runtime": runtime})
    assert result.returncode == 1
    assert (
        "kubenode_runtime (from host @local): 'containerd' or 'crio' or 'docker' or 'mcr', this "
        f"release of kubenode prepares no other runtime, found {runtime!r}"
    ) in " ".join(result.output.split())
    assert "Can this host be a node?" not in result.output


def test_a_grace_period_is_stated_once_and_its_critical_part_is_no_longer() -> None:
    node = NodeSettings.model_validate(
        {"shutdown_grace_period": "60s", "shutdown_grace_period_critical_pods": "20s"}
    )
    assert node.kubelet_settings == {
        "shutdownGracePeriod": "60s",
        "shutdownGracePeriodCriticalPods": "20s",
    }
    assert node.shutdown_wait == "60s"
    both = NodeSettings.model_validate({"kubelet": {"shutdownGracePeriod": "30s"}})
    assert both.shutdown_wait == "30s"
    assert NodeSettings.model_validate({}).kubelet_settings is None
    assert NodeSettings.model_validate({"kubelet": {}}).shutdown_wait is None
    for wrong in (
        {"shutdown_grace_period": "60"},
        {"shutdown_grace_period": "30s", "kubelet": {"shutdownGracePeriod": "30s"}},
        {"shutdown_grace_period": "30s", "shutdown_grace_period_critical_pods": "40s"},
        {"shutdown_grace_period_critical_pods": "20s"},
    ):
        with pytest.raises(ValueError, match="shutdown"):
            NodeSettings.model_validate(wrong)
