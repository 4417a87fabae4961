"""sysctl.d(5) as systemd-sysctl applies it. The end-to-end tests compare it with the real one."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubenode.linux.drop_ins import in_force, lasting, masked_by
from kubenode.linux.sysctl_d import (
    DIRECTORIES,
    MARK,
    Tree,
    check_key,
    check_value,
    matches,
    path_of,
    without_conflicts,
)
from kubenode.linux.sysctl_value import words

FORWARD = "net.ipv4.ip_forward"
ALIAS = "net.ipv4.conf.all.forwarding"
FILTER = "net.ipv4.conf.all.rp_filter"


def boot(key: str, **texts: str) -> tuple[str, str | None, str | None]:
    """State, value and winner of files in /etc/sysctl.d, named by keyword, without links."""
    tree = Tree({f"/etc/sysctl.d/{name}.conf": text for name, text in texts.items()})
    result = tree.boot(key)
    return result.state, result.value, str(result.winner) if result.winner else None


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("/net//ipv4/./ip_forward/", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.tag", "net/ipv4/conf/eth0.100/tag"),
        ("net/ipv4/conf/eth0.100/tag", "net/ipv4/conf/eth0.100/tag"),
        ("net.ipv4/conf", "net/ipv4.conf"),
        ("kernel", "kernel"),
        ("", ""),
    ],
)
def test_the_first_separator_decides(key: str, path: str) -> None:
    assert path_of(key) == path


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a/*/c", "a/b/c", True),
        ("a/*", "a/b/c", False),
        ("a/*/c", "a/.b/c", False),
        ("a/.*/c", "a/.b/c", True),
        ("a/b?", "a/bc", True),
        ("a?b", "a/b", False),
        ("a/[b-d]", "a/c", True),
        ("a/[!b-d]", "a/c", False),
        ("a/[^b-d]", "a/e", True),
        ("a/[]x]", "a/]", True),
        ("a/[x-]", "a/-", True),
        ("a/[d-b]", "a/c", False),
        ("a/[[:digit:]_]", "a/7", True),
        ("a/[[:digit:]]", "a/x", False),
        ("a/[b", "a/[b", True),
        ("a/[b/c]", "a/b", False),
        (r"a/\*", "a/*", True),
        (r"a/\*", "a/b", False),
        (r"a/[\]]", "a/]", True),
        ("a/{b,c}*", "a/cd", True),
        ("{a,b/c}/*", "b/c/d", True),
        ("a/{b,{c,d}e}*", "a/de", True),
        ("a/{b,c*", "a/{b,cd", True),
        (r"a/\{b,c}*", "a/{b,c}d", True),
        ("a/{}*", "a/x", True),
        ("a/b.*", "a/bxc", False),
        ("a/(b|c)*", "a/b", False),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


def _star_by_star(pattern: str, path: str) -> bool:
    """What a glob of letters, ``*``, ``?`` and ``/`` matches, by trying every length of a ``*``."""
    if not pattern or not path:
        return not pattern.strip("*") and not path
    if pattern[0] == "*":
        return _star_by_star(pattern[1:], path) or (
            path[0] != "/" and _star_by_star(pattern, path[1:])
        )
    return (pattern[0] == path[0] or (pattern[0] == "?" and path[0] != "/")) and _star_by_star(
        pattern[1:], path[1:]
    )


@given(st.text(alphabet="ab**?/", max_size=10), st.text(alphabet="aab/", max_size=10))
@example("*a*b", "aabab")
@example("*ab/*?", "aab/ab")
def test_a_star_that_does_not_go_back_finds_the_same(pattern: str, path: str) -> None:
    assert matches(pattern, path) is _star_by_star(pattern, path)


@pytest.mark.parametrize("stars", ["*" * 25, "*a" * 25, "*?" * 25, "*[a-z]" * 25, "**l*" * 25])
def test_many_stars_end_soon(stars: str) -> None:
    assert matches(f"net/ipv4/conf/all/{stars}z", "net/ipv4/conf/all/" + "a" * 60) is False


@pytest.mark.parametrize("pattern", ["{a,b}" * 26 + "*", "*" + "{" * 1500 + "}" * 1500])
def test_too_many_braces_make_the_boot_unknown_never_wrong(pattern: str) -> None:
    assert matches(pattern, "vm/x") is None
    line = f"{pattern}=1"
    assert boot("vm.x", a=line)[:2] == ("unknown", None)
    assert (
        Tree({"/etc/sysctl.d/a.conf": line})
        .boot("vm.x")
        .reason.startswith("/etc/sysctl.d/a.conf:1 (")
    )
    # a line that names the key keeps any glob from it
    assert boot("vm.x", a=line, b="vm.x=2") == ("set", "2", "/etc/sysctl.d/b.conf:1")


def test_braces_up_to_the_cap_are_gone_through() -> None:
    assert matches("{a,b}" * 6 + "*", "ababab") is True
    assert matches("*" + "{" * 90 + "}" * 90, "x") is True


@given(st.text(alphabet="ab*?[]!^-{},\\/.", max_size=12), st.text(alphabet="ab./", max_size=8))
def test_any_glob_is_read(pattern: str, path: str) -> None:
    matches(pattern, path)


def test_the_last_name_wins_not_the_last_directory() -> None:
    tree = Tree(
        {
            "/etc/sysctl.d/10-a.conf": f"{FORWARD}=1",
            "/usr/lib/sysctl.d/20-b.conf": f"{FORWARD}=0",
        }
    )
    result = tree.boot(FORWARD)
    assert (result.value, str(result.winner)) == ("0", "/usr/lib/sysctl.d/20-b.conf:1")
    assert [str(line) for line in result.beaten] == ["/etc/sysctl.d/10-a.conf:1"]


def test_digits_sort_before_letters() -> None:
    files = [f"/etc/sysctl.d/{name}.conf" for name in ("k8s", "99-cis", "Z", "100")]
    files += ["/etc/sysctl.d/README", "/etc/sysctl.d/.a.conf", "/etc/sysctl.d/b.conf.bak"]
    assert [path[14:-5] for path in in_force(files, DIRECTORIES)] == ["100", "99-cis", "Z", "k8s"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"a": f"{FORWARD} = 1\n{FORWARD}\t=\t0"}, ("set", "0", "/etc/sysctl.d/a.conf:2")),
        ({"a": f"# {FORWARD}=1\n;{FORWARD}=1\n\n"}, ("unset", None, None)),
        ({"a": f" -{FORWARD} = 1 "}, ("set", "1", "/etc/sysctl.d/a.conf:1")),
        ({"a": f"{FORWARD}=1\r\nx=1\r\n"}, ("set", "1", "/etc/sysctl.d/a.conf:1")),
        ({"a": f"{FORWARD}=1=2"}, ("set", "1=2", "/etc/sysctl.d/a.conf:1")),
        ({"a": f"{FORWARD} 1"}, ("unset", None, None)),
        # the key by its other name, and the place an equal assignment keeps
        (
            {"a": f"{FORWARD}=1", "b": f"{ALIAS}=0"},
            ("set", "0", "/etc/sysctl.d/b.conf:1"),
        ),
        (
            {"a": f"{ALIAS}=1", "b": f"{FORWARD}=0\nnet/ipv4/conf/all/forwarding=1"},
            ("set", "0", "/etc/sysctl.d/b.conf:1"),
        ),
        (
            {"a": f"{FORWARD}=1", "b": "net.ipv4.conf.*.forwarding=0"},
            ("set", "0", "/etc/sysctl.d/b.conf:1"),
        ),
        ({"a": f"{FORWARD}=1", "b": "net.ipv4.ip_*=0"}, ("set", "1", "/etc/sysctl.d/a.conf:1")),
        ({"a": f"{FORWARD}=1", "b": f"-{FORWARD}"}, ("unset", None, None)),
        ({"a": f"-{FORWARD}", "b": f"{FORWARD}=1"}, ("set", "1", "/etc/sysctl.d/b.conf:1")),
        ({"a": "net.ipv4.ip_*=0\n-net.ipv4.ip_*"}, ("unset", None, None)),
        ({"a": "net.{ipv4,ipv6}.ip_forward=0"}, ("unset", None, None)),
        ({"a": "net.{ipv4,ipv6}.ip_forwar?=0"}, ("set", "0", "/etc/sysctl.d/a.conf:1")),
    ],
)  # fmt: skip
def test_lines(texts: dict[str, str], expected: tuple[str, str | None, str | None]) -> None:
    assert boot(FORWARD, **texts) == expected


def test_why_a_line_does_not_count() -> None:
    tree = Tree(
        {
            "/etc/sysctl.conf": f"{FILTER}=1",
            "/etc/sysctl.d/a.conf": f"{FILTER} 1\nnet.ipv4.conf.*.rp_filter=2\n-{FILTER}",
            "/etc/sysctl.d/v.conf": "",
            "/usr/lib/sysctl.d/v.conf": f"\n{FILTER}=3",
        }
    )
    result = tree.boot(FILTER)
    assert (result.state, str(result.excluded_by)) == ("unset", "/etc/sysctl.d/a.conf:3")
    assert {str(line): reason.split()[0] for line, reason in result.ignored} == {
        "/etc/sysctl.d/a.conf:2": "excluded",
        "/etc/sysctl.d/a.conf:1": "not",
        "/usr/lib/sysctl.d/v.conf:2": "masked",
        "/etc/sysctl.conf:1": "systemd-sysctl",
    }


def test_sysctl_conf_counts_through_its_link_only() -> None:
    files = {"/etc/sysctl.conf": f"{FORWARD}=1"}
    assert Tree(files).boot(FORWARD).state == "unset"
    link = "/etc/sysctl.d/99-sysctl.conf"
    tree = Tree({**files, link: f"{FORWARD}=1"}, {link: "/etc/sysctl.conf"})
    result = tree.boot(FORWARD)
    assert (str(result.winner), result.ignored) == (f"{link}:1", ())


def test_the_kernel_command_line_is_below_all_files() -> None:
    tree = Tree({}, command_line='quiet sysctl.net.ipv4.ip_forward="1" -- sysctl.vm.swappiness=1')
    assert (tree.boot(FORWARD).value, str(tree.boot(FORWARD).winner)) == ("1", "/proc/cmdline:1")
    assert tree.boot("vm.swappiness").state == "unset"
    assert tree.with_file("/usr/lib/sysctl.d/a.conf", f"{FORWARD}=0").boot(FORWARD).value == "0"
    assert Tree({}, command_line=None).boot(FORWARD).state == "unknown"


def test_a_key_another_key_sets() -> None:
    assert boot("net.ipv6.conf.default.forwarding", a="net.ipv6.conf.all.forwarding=1")[1] == "1"
    own = "net.ipv6.conf.default.forwarding"
    assert boot(own, a=f"net.ipv6.conf.all.forwarding=1\n{own}=0")[1] == "0"
    # IPv4's is copied only when it changes: the order alone does not tell
    own = "net.ipv4.conf.default.forwarding"
    assert boot(own, a=f"{FORWARD}=1\n{own}=0")[:2] == ("set", "0")
    assert boot(own, a=f"{own}=0\n{FORWARD}=1")[0] == "unknown"
    assert boot(own, a=f"{own}=1\n{FORWARD}=1")[:2] == ("set", "1")


@pytest.mark.parametrize("key", ["net.ipv4.conf.eth0/1.tag", "kernel/panic", "fs.x-y", "a.b@c:d"])
def test_good_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "ip_forward", "net.*.x", "net..", "a.b\n", "-a.b", "a/../b", "a b.c", 7, None]
)
def test_bad_keys(key: object) -> None:
    with pytest.raises(ValueError, match=r"net\.ipv4\.ip_forward"):
        check_key(key)


@pytest.mark.parametrize("value", [True, None, "", " ", "1\n", "a\rb", "ü", "\x1b[1m", 1.5, [1]])
def test_bad_values(value: object) -> None:
    with pytest.raises(ValueError, match=r"a\.b: .* is not a sysctl value"):
        check_value("a.b", value)


def test_good_values() -> None:
    values = (0, -1, "4096\t87380  6291456", "|/bin/core %p")
    assert [check_value("a.b", value) for value in values] == [
        "0",
        "-1",
        "4096 87380 6291456",
        "|/bin/core %p",
    ]


# Trees of files as they occur, small enough that rules collide
KEYS = [FORWARD, "net.ipv4.conf.all.forwarding", FILTER, "net.ipv4.conf.lo.rp_filter", "vm.x"]
_lines = st.one_of(
    st.builds(
        "{}{}={}".format,
        st.sampled_from(["", "", "-"]),
        st.sampled_from(
            [*KEYS, *(key.replace(".", "/") for key in KEYS), "net.ipv4.conf.*.*", "net.*.*.*.rp_*"]
        ),
        st.sampled_from("012"),
    ),
    st.builds("-{}".format, st.sampled_from([*KEYS, "net.ipv4.conf.*.*"])),
    st.sampled_from(["", "# x", "nonsense"]),
)
_paths = st.builds(
    "{}/{}.conf".format, st.sampled_from(DIRECTORIES), st.sampled_from(["1", "5", "k8s", "zz"])
)
_files = st.dictionaries(_paths, st.lists(_lines, max_size=4).map("\n".join), max_size=5)
_keys = st.sampled_from(KEYS)


@given(_files, _keys)
def test_every_line_has_one_part(files: dict[str, str], key: str) -> None:
    result = Tree(files).boot(key)
    lines = [*result.beaten, *(line for line, _ in result.ignored)]
    if result.winner:
        lines.append(result.winner)
    assert len(lines) == len(set(lines))
    assert (result.state == "set") == (result.winner is not None) == (result.value is not None)


@given(_files, _keys)
def test_a_file_in_run_changes_nothing(files: dict[str, str], key: str) -> None:
    without = {path: text for path, text in files.items() if not path.startswith("/run/")}
    boot, expected = Tree(files).boot(key), Tree(without).boot(key)
    assert (boot.state, boot.value, boot.winner) == (
        expected.state,
        expected.value,
        expected.winner,
    )


_MASKS = st.tuples(
    st.sampled_from(list(combinations(lasting(DIRECTORIES), 2))),
    st.sampled_from(["1", "5", "k8s", "zz"]),
)


@given(_files, _MASKS, _keys)
def test_a_masked_file_changes_nothing(
    files: dict[str, str], mask: tuple[tuple[str, str], str], key: str
) -> None:
    (earlier, later), name = mask
    path = f"{later}/{name}.conf"
    files = {**files, f"{earlier}/{name}.conf": ""}
    files.pop(path, None)
    assert masked_by(path, files, lasting(DIRECTORIES))
    before = Tree(files).boot(key)
    after = Tree({**files, path: f"{key}=7\n-{key}\n"}).boot(key)
    assert (after.state, after.value, after.winner) == (before.state, before.value, before.winner)


@given(_files, _keys)
def test_a_line_at_the_very_end_wins(files: dict[str, str], key: str) -> None:
    tree = Tree(files).with_file("/etc/sysctl.d/zzz.conf", f"{key}=7\n")
    assert tree.boot(key).value == "7"


@given(_files, _paths, _keys)
@example({"/etc/sysctl.d/1.conf": f"{FORWARD}=1"}, "/etc/sysctl.d/zz.conf", FORWARD)
def test_unknown_is_never_wrong(files: dict[str, str], hidden: str, key: str) -> None:
    """Where a file cannot be read, what is said all the same is what it is."""
    truth = Tree(files).boot(key)
    guess = Tree({**files, hidden: None} if hidden in files else files).boot(key)
    assert guess.state == "unknown" or (guess.state, guess.value) == (truth.state, truth.value)
    assert Tree(files, unreadable=["/etc/sysctl.d"]).boot(key).state == "unknown"


@given(_files, _keys, st.sampled_from(["1", "7"]))
def test_disabling_what_conflicts_makes_ours_win(
    files: dict[str, str], key: str, value: str
) -> None:
    ours = "/etc/sysctl.d/k8s.conf"
    text = f"{key} = {value}\n"
    before = Tree(files)
    after, edits, conflicts = without_conflicts(before, ours, text, {key: value})
    assert after.boot(key).value == value
    assert bool(edits) == bool(conflicts)
    assert ours not in edits
    for path, source in edits.items():
        # nothing but marks in front of whole lines, and nothing outside /etc
        assert path.startswith("/etc/sysctl.d/")
        old, new = files[source].split("\n"), (after.files[path] or "").split("\n")
        assert [line.removeprefix(MARK) for line in new] == old
    assert {path: after.files[path] for path in files if path not in edits and path != ours} == {
        path: text for path, text in files.items() if path not in edits and path != ours
    }
    # and once that is written, a second run finds nothing to do
    assert without_conflicts(after, ours, text, {key: value}) == (after, {}, [])


def test_an_edit_goes_through_a_link() -> None:
    link, real = "/etc/sysctl.d/zz.conf", "/etc/sysctl.conf"
    tree = Tree({link: f"{FORWARD}=0\n", real: f"{FORWARD}=0\n"}, {link: real})
    winner = tree.boot(FORWARD).winner
    assert winner is not None
    after, edits = tree.with_lines_disabled([winner])
    assert edits == {real: real}
    assert after.files[link] == after.files[real] == f"{MARK}{FORWARD}=0\n"
    assert after.boot(FORWARD).state == "unset"


@pytest.mark.parametrize(
    ("text", "edited"),
    [
        (f"# mac\r{FORWARD}=0\r", f"# mac\r{MARK}{FORWARD}=0\r"),
        (f"# nul\0{FORWARD}=0", f"# nul\0{MARK}{FORWARD}=0"),
        (
            f"vm.x=1\r{FORWARD}=0\r {FORWARD} = 0\n",
            f"vm.x=1\r{MARK}{FORWARD}=0\r{MARK} {FORWARD} = 0\n",
        ),
        (f"{FORWARD}=0\r-{FORWARD}\r\n", f"{MARK}{FORWARD}=0\r{MARK}-{FORWARD}\r\n"),
    ],
)
def test_what_counts_behind_a_lone_carriage_return_is_disabled_too(text: str, edited: str) -> None:
    ours, other = "/etc/sysctl.d/k8s.conf", "/etc/sysctl.d/zz.conf"
    after, _, _ = without_conflicts(Tree({other: text}), ours, f"{FORWARD} = 1\n", {FORWARD: "1"})
    assert after.files[other] == edited
    assert after.boot(FORWARD).value == "1"


def test_disabling_ends_when_it_is_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tree, "with_lines_disabled", lambda self, lines: (self, {}))
    tree = Tree({"/etc/sysctl.d/zz.conf": f"{FORWARD}=0"})
    after, _, conflicts = without_conflicts(
        tree, "/etc/sysctl.d/k8s.conf", f"{FORWARD}=1", {FORWARD: "1"}
    )
    assert len(conflicts) == 1
    assert after.boot(FORWARD).value == "0"


@given(st.text(alphabet="a \t\r\n", max_size=9))
def test_words(value: str) -> None:
    assert words(value) == " ".join(value.split())
