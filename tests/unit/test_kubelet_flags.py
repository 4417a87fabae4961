"""kubelet's flags from its unit, by the rules of systemd and of pflag."""

from __future__ import annotations

import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files.cannot_tell import CannotTell
from kubenode.kubelet import command_line
from kubenode.kubelet.command_line import UNIT, EnvironmentFile, Flag, Word
from kubenode.linux import environment_file

# as `systemctl show` of systemd 252, 257 and 262 has it, of kubeadm's 10-kubeadm.conf
KUBEADM = (
    "{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS "
    "$KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS ; ignore_errors=no ; "
    "start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }"
)
ENVIRONMENT = (
    '"KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf '
    '--kubeconfig=/etc/kubernetes/kubelet.conf" '
    "KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
)
FLAGS = "/var/lib/kubelet/kubeadm-flags.env"
DEFAULT = "/etc/default/kubelet"


def start(arguments: str) -> str:
    return f"{{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet {arguments} ; ignore_errors=no ; }}"


def file(path: str, text: str | None, *, optional: bool = True) -> EnvironmentFile:
    return EnvironmentFile(path, text, optional)


def flags(
    exec_start: str, environment: str = "", *files: EnvironmentFile, unset: str = ""
) -> dict[str, Flag]:
    return command_line.flags(command_line.of_unit([exec_start], environment, unset, files))


def test_kubeadms_drop_in() -> None:
    found = flags(
        KUBEADM,
        ENVIRONMENT,
        file(FLAGS, 'KUBELET_KUBEADM_ARGS="--cgroup-driver=systemd --node-ip 10.0.0.1"\n'),
        file(DEFAULT, "# KUBELET_EXTRA_ARGS=--cgroup-driver=x\nKUBELET_EXTRA_ARGS=\n"),
    )
    assert found["config"] == Flag("/var/lib/kubelet/config.yaml", UNIT)
    assert found["kubeconfig"] == Flag("/etc/kubernetes/kubelet.conf", UNIT)
    assert found["cgroup-driver"] == Flag("systemd", FLAGS)
    assert found["node-ip"] == Flag("10.0.0.1", FLAGS)


def test_the_last_flag_wins_and_files_win_over_the_unit() -> None:
    extra = file(DEFAULT, "KUBELET_EXTRA_ARGS='--cgroup_driver cgroupfs'\nA=--config=/later\n")
    found = flags(
        start("$A $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS"),
        "A=--config=/earlier KUBELET_EXTRA_ARGS=--cgroup-driver=x",
        file(FLAGS, "KUBELET_KUBEADM_ARGS=--cgroup-driver=systemd"),
        extra,
    )
    assert found["cgroup-driver"] == Flag("cgroupfs", DEFAULT)
    assert found["config"] == Flag("/later", DEFAULT)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--a=1 --b", ["--a=1", "--b"]),
        ("$TWO", ["--x", "--y=a b"]),
        ("${TWO}", ['--x "--y=a b"']),
        ("--z=${ONE}${ONE}", ["--z=/o/o"]),
        ("--z=$ONE", ["--z=$ONE"]),
        ("$NONE ${NONE}", [""]),
        ("$$ONE --p=$$", ["$ONE", "--p=$"]),
        ("$EMPTY", []),
    ],
)
def test_variables(arguments: str, words: list[str]) -> None:
    environment = r'"TWO=--x \"--y=a b\"" ONE=/o EMPTY='
    assert [
        word.text for word in command_line.of_unit([start(arguments)], environment, "", [])
    ] == words


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("X=a b ", "a b"),
        ("X = a", "a"),
        ('X="a b" ', "a b"),
        ("X='a \\n \"'", 'a \\n "'),
        ('X="a \\"b\\" \\$c \\d"', 'a "b" $c \\d'),
        ("X=a\\\nb", "ab"),
        ('X="a\\\nb"', "ab"),
        ("X='a\nb'", "a\nb"),
        ("; X=c\n# X=d\nX=a # b", "a # b"),
        ("X=1\nX=2", "2"),
        ("export X=1\nX=2\nno assignment\n1X=3", "2"),
        ("X=1\r\nY=2\r\n", "1"),
        ("X=a\\ ", "a "),
        ("X=\nY=1", ""),
    ],
)
def test_environment_files(text: str, value: str) -> None:
    assert dict(environment_file.environment_file(text, "/f"))["X"] == value


@pytest.mark.parametrize(
    ("exec_start", "environment", "files"),
    [
        ("{ path=/bin/sh ; argv[]=/bin/sh -c exec kubelet ; ignore_errors=no ; }", "", []),
        ("{ path=/usr/bin/kubelet ; argv[]=/usr/bin/kubelet --a", "", []),
        (start("--node-labels a b --config=/x"), "", []),
        (start("--config"), "", []),
        (start("--config=/x stray"), "", []),
        (start("$X"), 'X="open', []),
        (start("$X"), "no-assignment", []),
        (start("$HOME"), "", []),
        (start("$X/config"), "X=1", []),
        (start("$X"), "", [file(DEFAULT, None, optional=False)]),
        (start("$X"), "", [file(DEFAULT, "# a comment \\\nX=1\n")]),
    ],
)
def test_what_can_be_read_in_several_ways_is_unknown(
    exec_start: str, environment: str, files: list[EnvironmentFile]
) -> None:
    with pytest.raises(CannotTell):
        flags(exec_start, environment, *files)


@pytest.mark.parametrize("commands", [[], [KUBEADM, KUBEADM]])
def test_one_command_starts_kubelet(commands: list[str]) -> None:
    with pytest.raises(CannotTell):
        command_line.of_unit(commands, "", "", [])


def test_unset_variables_are_gone() -> None:
    unit = start("--config=/x$X $X $Y")
    found = flags(unit, "X=--a=1 Y=--b=1", unset="X Y=other")
    assert "a" not in found
    assert found["b"] == Flag("1", UNIT)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--fail-swap-on"], True),
        (["--fail-swap-on=false"], False),
        (["--fail-swap-on=F"], False),
        (["--fail_swap_on=0"], False),
        (["--fail-swap-on=no"], None),
        (["--fail-swap-on=false", "--fail-swap-on"], True),
        (["-v", "2", "-v=2", "--fail-swap-on=false", "--", "--fail-swap-on=true"], False),
        # a flag with a value takes the next word, whatever it is
        (["--cgroup-driver", "--fail-swap-on=false"], None),
    ],
)
def test_switches(words: list[str], found: bool | None) -> None:
    parsed = command_line.flags(command_line.of_process(["kubelet", *words]))
    assert command_line.truth(parsed.get("fail-swap-on")) is found


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))))
def test_splitting_takes_back_what_quoting_did(words: list[str]) -> None:
    quoted = " ".join(
        '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'
        for word in words
    )
    assert environment_file.split(quoted) == words


@given(st.lists(st.from_regex(r"[ -~]{0,20}", fullmatch=True)))
def test_plain_quoting_is_read_as_a_shell_reads_it(words: list[str]) -> None:
    without = [word.replace("\\", "/").replace("'", "") for word in words]
    assert environment_file.split(shlex.join(without)) == shlex.split(shlex.join(without))


@given(st.from_regex(r"[A-Za-z_]\w{0,9}", fullmatch=True).filter(str.isascii), st.text())
def test_a_quoted_value_comes_back(name: str, value: str) -> None:
    escaped = (
        value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
    )
    text = f'# first\n{name}="{escaped}"\nLAST=1\n'
    assert environment_file.environment_file(text, "/f") == [(name, value), ("LAST", "1")]


TEXT = st.text(st.sampled_from("aA_=$'\"\\{}#; \n\r\t-/1é"), max_size=40)


@given(TEXT, TEXT, TEXT, TEXT)
def test_nothing_raises_anything_else(
    arguments: str, environment: str, unset: str, content: str
) -> None:
    for exec_start in (arguments, start(arguments)):
        with suppress(CannotTell):
            words = command_line.of_unit([exec_start], environment, unset, [file(DEFAULT, content)])
            assert all(isinstance(word, Word) for word in words)
            command_line.flags(words)
