"""daemon.json: what others wrote stays to the letter, what dockerd would not take is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.files.cannot_tell import CannotTell
from kubenode.runtimes.docker import daemon_json, flags
from kubenode.runtimes.docker.daemon_json import PATH, Document, edited, parse
from kubenode.runtimes.edit import ConfigError

WANTED: dict[str, Any] = {"live-restore": True, "registry-mirrors": ["https://mirror.example.org"]}


def document(text: str) -> Document:
    return parse(PATH, text.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "exec-opts": [\n    "native.cgroupdriver=systemd"\n  ]\n}\n'),
        ("{}\n", '{\n  "exec-opts": [\n    "native.cgroupdriver=systemd"\n  ]\n}\n'),
        ('{"mtu":1400}', '{"mtu":1400, "exec-opts": ["native.cgroupdriver=systemd"]}'),
        # tabs, blanks and the list's own line breaks stay
        (
            '{\n\t"mtu" : 1400 ,\n\t"exec-opts": [ "native.cgroupdriver=cgroupfs" ]\n}\n',
            '{\n\t"mtu" : 1400 ,\n\t"exec-opts": [ "native.cgroupdriver=systemd" ]\n}\n',
        ),
        (
            '{\n    "exec-opts": [\n        "other=1"\n    ]\n}',
            '{\n    "exec-opts": [\n        "other=1",\n        "native.cgroupdriver=systemd"\n'
            "    ]\n}",
        ),
        ('{"exec-opts": []}', '{"exec-opts": ["native.cgroupdriver=systemd"]}'),
        ('{"exec-opts": null}', '{"exec-opts": ["native.cgroupdriver=systemd"]}'),
        # the last one wins, and its name folds case
        (
            '{"exec-opts": ["native.cgroupdriver=systemd", "Native.CgroupDriver=cgroupfs"]}',
            '{"exec-opts": ["native.cgroupdriver=systemd", "native.cgroupdriver=systemd"]}',
        ),
    ],
)
def test_the_driver_is_stated_and_all_else_stays(before: str, after: str) -> None:
    edit = edited(document(before), {}, "systemd")
    assert edit.text == after
    assert len(edit.changes) == 1
    again = document(after)
    assert again.driver == "systemd"
    assert edited(again, {}, "systemd").changes == ()


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("[]", "1:1", "is no JSON object"),
        ('{"a": 1,\n "a": 2}', "2:2", "the key 'a' stands there twice"),
        ('{"a": {"b": 1, "b": 2}}', "1:7", "the key 'b' stands there twice"),
        ('{"a": NaN}', "1:7", "NaN is no JSON"),
        ('{"a": 1,}', "1:9", "expected a key in double quotes"),
        ('{"a" 1}', "1:6", "expected a colon"),
        ('{"a": 1 "b": 2}', "1:9", "expected a comma"),
        ('{"a": 1', "1:8", "expected a comma"),
        ('{"a": 1} {}', "1:10", "has something behind its object"),
        ('// no\n{"a": 1}', "1:1", "is no JSON object"),
        ("{'a': 1}", "1:2", "expected a key in double quotes"),
        ('{"a": ' + "[" * 20000 + "}", "1:7", "is nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "1:7", "has a number that is too long"),
    ],
)
def test_what_is_no_object_of_single_keys_is_refused_with_its_place(
    text: str, place: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as error:
        document(text)
    assert str(error.value).startswith(f"{PATH}:{place}: ")
    assert reason in str(error.value)


def test_what_is_too_long_or_not_utf_8_is_refused() -> None:
    with pytest.raises(ConfigError, match="longer than 64 KiB"):
        parse(PATH, b" " * (daemon_json.MOST_BYTES + 1))
    with pytest.raises(ConfigError, match=":2:1: is not UTF-8"):
        parse(PATH, b'{\n"a": "\xff"}')
    with pytest.raises(ConfigError, match="exec-opts is not a list"):
        edited(document('{"exec-opts": "native.cgroupdriver=cgroupfs"}'), {}, "systemd")


def test_lines_are_those_of_the_keys() -> None:
    found = document('{\n\n "mtu": 1,\n "exec-opts": [\n "x=1",\n "native.cgroupdriver=systemd"]}')
    assert found.line_of("mtu") == 3
    assert found.line_of("exec-opts") == 4
    assert found.driver_line == 6
    assert found.line_of("hosts") is None


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
_OPTIONS = st.lists(
    st.sampled_from(["native.cgroupdriver=cgroupfs", "native.cgroupdriver=systemd", "a=b", "c"]),
    max_size=4,
)


@given(
    st.dictionaries(st.text(max_size=6), _VALUES, max_size=5),
    st.none() | _OPTIONS,
    st.sampled_from([None, 1, 2, 4, "\t"]),
    st.sampled_from([",", ", ", " , "]),
    st.booleans(),
)
def test_other_keys_stay_to_the_letter(
    others: dict[str, Any], options: list[str] | None, indent: Any, comma: str, first: bool
) -> None:
    own = {} if options is None else {"exec-opts": options}
    data = {**own, **others} if first else {**others, **own}
    text = json.dumps(data, indent=indent, separators=(comma.rstrip() if indent else comma, ": "))
    before = document(text)
    edit = edited(before, WANTED, "systemd")
    after = document(edit.text)
    assert after.driver == "systemd"
    for key, value in others.items():
        if key not in (*WANTED, "exec-opts"):
            assert after.data[key] == value
            old, new = before.member(key), after.member(key)
            assert old
            assert new
            assert text[old.key_start : old.end] == edit.text[new.key_start : new.end]
    kept = [each for each in options or () if not each.startswith("native.")]
    assert [each for each in after.data["exec-opts"] if not each.startswith("native.")] == kept
    assert {key: after.data[key] for key in WANTED} == WANTED
    assert list(after.data)[: len(before.data)] == list(before.data)
    assert edited(after, WANTED, "systemd").changes == ()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        found = parse(PATH, content)
    except ConfigError:
        return
    assert found.data == (json.loads(content) if content.strip(b" \t\r\n") else {})


@pytest.mark.parametrize(
    ("words", "keys", "both"),
    [
        (["-H", "fd://"], ["hosts"], ["hosts"]),
        (["-H", "fd://", "--containerd=/run/x.sock"], ["debug", "containerd"], ["containerd"]),
        (["--exec-opt", "native.cgroupdriver=systemd"], ["exec-opts"], ["exec-opts"]),
        (["--log-opt=max-size=1m", "-D"], ["log-opts", "debug", "mtu"], ["log-opts", "debug"]),
        (["-g", "/data"], ["data-root"], ["data-root"]),
        # dockerd merges these
        (["--add-runtime", "a=b"], ["runtimes"], []),
        ([], ["hosts"], []),
    ],
)
def test_keys_that_are_flags_too(words: list[str], keys: list[str], both: list[str]) -> None:
    assert flags.in_both(keys, words) == both


def test_the_words_of_a_unit() -> None:
    start = (
        "{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ; "
        "ignore_errors=no ; pid=0 }"
    )
    assert flags.words_of(start) == ["-H", "fd://"]
    options = "# DOCKER_OPTS='-x'\nDOCKER_OPTS=\"--mtu 1400\"\n"
    assert flags.words_of(start, {"/f": options}) == ["-H", "fd://", "--mtu", "1400"]
    fedora = 'OPTIONS="--selinux-enabled \\\n  --live-restore \\\n"\n'
    words = flags.words_of(start.replace("DOCKER_OPTS", "OPTIONS"), {"/f": fedora})
    assert words == ["-H", "fd://", "--selinux-enabled", "--live-restore"]
    with pytest.raises(CannotTell, match=r"variable \$OTHER"):
        flags.words_of(start.replace("$DOCKER_OPTS", "$OTHER"))
    with pytest.raises(CannotTell, match=r"may be of /run/flannel/docker: that is not read"):
        flags.words_of(start, {"/f": options, "/run/flannel/docker": None})
    assert flags.words_of("") == []


@pytest.mark.parametrize(
    ("words", "key", "value", "says"),
    [
        (["--live-restore", "--mtu", "1400"], "live-restore", True, True),
        (["--live-restore=false"], "live-restore", True, False),
        (["--live-restore"], "live-restore", False, False),
        (["--log-driver=journald"], "log-driver", "journald", True),
        (["--log-driver", "local"], "log-driver", "journald", False),
        (["--log-opt", "max-size=1m"], "log-opts", {"max-size": "1m"}, False),
        ([], "live-restore", True, False),
    ],
)
def test_a_flag_that_says_what_a_key_would(
    words: list[str], key: str, value: object, says: bool
) -> None:
    assert flags.says(words, key, value) is says


@given(st.lists(st.text(max_size=10), max_size=6))
def test_any_words_are_flags_or_none(words: list[str]) -> None:
    for key, values in flags.stated(words).items():
        assert isinstance(key, str)
        assert all(isinstance(value, str) for value in values)
