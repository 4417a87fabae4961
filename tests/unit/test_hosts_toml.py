"""hosts.toml: what containerd would make of a file, and the file for what is wanted."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kubenode.facts import registry_hosts
from kubenode.runtimes.containerd import hosts_toml
from kubenode.runtimes.containerd.hosts_toml import check_registry, directories, files_of, read
from kubenode.wire import probe

V1, V2, V2_3 = Version("1.7.24"), Version("2.1.9"), Version("2.3.1")

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"


def wrong(text: str, version: Version | None = V2) -> list[tuple[int, str, str]]:
    found = read(text, "/certs/docker.io", version).problems
    return [(line, str(problem), problem.effect) for line, problem in found]


@pytest.mark.parametrize(
    ("text", "version", "line", "reason", "effect"),
    [
        ('server = "https://a\n', V2, 1, "is not valid TOML", "ignored"),
        ('server = "https://a"\n[host\n', V2, 2, "is not valid TOML", "ignored"),
        ('server = "https://a"\nskipverify = true\n', V2, 2, "did you mean skip_verify?", "unused"),
        ('server = "https://a"\nmirror = "b"\n', V2, 2, "is no key of hosts.toml", "unused"),
        ('[host."https://a"]\nserver = "b"\n', V2, 2, "is no key of hosts.toml", "unused"),
        ('[host."https://a"]\ncapabilities = ["pul"]\n', V2, 2, "capability 'pul'", "ignored"),
        ('[host."https://a"]\ncapabilities = "pull"\n', V2, 2, "not an array", "ignored"),
        ('[host."https://a"]\ncapabilities = [1]\n', V2, 2, "not an array", "ignored"),
        ('[host."https://a"]\ncapabilities = ["referrers"]\n', V2, 2, "2.1.9 does not", "ignored"),
        ('[host."https://a"]\ndial_timeout = "5s"\n', V1, 2, "does not know", "unused"),
        ('[host."https://a"]\ndial_timeout = 5\n', V2, 2, "is not a duration", "ignored"),
        ('[host."https://a"]\ndial_timeout = "5 s"\n', V2, 2, "is not a duration", "ignored"),
        ('[host."https://a"]\nskip_verify = "yes"\n', V2, 2, "is not true or false", "ignored"),
        ('[host."https://a"]\noverride_path = 1\n', V2, 2, "is not true or false", "ignored"),
        ('[host."https://a"]\nca = 5\n', V2, 2, "is not the path", "ignored"),
        ('[host."https://a"]\nclient = [["a", "b", "c"]]\n', V2, 2, "has a pair", "ignored"),
        ('[host."https://a"]\nclient = [5]\n', V2, 2, "is not a path", "ignored"),
        ('[host."https://a"]\nheader = "x"\n', V2, 2, "is no table", "ignored"),
        ('[host."https://a".header]\nX = 5\n', V2, 2, "is not a string", "ignored"),
        ('[host."https://a".header]\n"X Y" = "z"\n', V2, 2, "cannot be the name", "fails"),
        ('[host."ftp://a"]\n', V2, 1, "is no URL of a registry", "fails"),
        ('[host."https://"]\n', V2, 1, "is no URL of a registry", "fails"),
        ('[host."https://a b"]\n', V2, 1, "is no URL", "ignored"),
        ('[host."https://a:x"]\n', V2, 1, "is no URL", "ignored"),
        ('[host."https://u:p@a"]\n', V2, 1, "containerd drops", "unused"),
        ('[host."https://a/v2/team"]\n', V2, 1, "https://a/v2/team/v2", "fails"),
        ('[host."https://a?x=1"]\n', V2, 1, "query", "unused"),
        ('server = "https://a"\n', V1, 1, "has no [host", "ignored"),
        ('host = "https://a"\n', V2, 1, "is no table", "ignored"),
        ('host = {"https://a" = {}}\n', V2, 1, "is no table of its own", "unused"),
        ('host."https://a".ca = "/x"\n', V2, 1, "is no table of its own", "unused"),
        ("skip_verify = true\n", V2, 1, "neither a server nor a host", "unused"),
        ('server = "a"\nServer = "b"\n', V2, 2, "folds the case", "unused"),
    ],
)
def test_what_containerd_would_not_use_is_said_with_its_line(
    text: str, version: Version, line: int, reason: str, effect: str
) -> None:
    found = wrong(text, version)
    assert [(each[0], each[2]) for each in found if reason in each[1]] == [(line, effect)], found
    assert len(found) == 1, found


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("", V2),
        ('server = "https://a"\n', V2),
        ('server = "a:5000"\n[host."a:5000"]\n', V2),
        ('host = {"https://a" = {}}\n', V1),
        ('[host."https://a"]\nCapabilities = ["PULL"]\n', V2),
        ('[host."https://a"]\ncapabilities = ["referrers"]\ndial_timeout = "1m30s"\n', V2_3),
        ('[host."https://a"]\ncapabilities = ["referrers"]\n', None),
        ('[host."https://a/v2/team"]\noverride_path = true\n', V2),
        ('[host."https://a/v2"]\n', V2),
        ('[host."https://a/v2/"]\n', V2),
        ('[host."http://[::1]:5000"]\nskip_verify = true\n', V2),
        ('[host."https://a"]\nclient = [["a", "b"]]\nca = ["c"]\n', V2),
        ('[host."https://a".header]\nX = ["a", "b"]\n', V2),
    ],
)
def test_what_containerd_uses_is_right(text: str, version: Version | None) -> None:
    assert wrong(text, version) == []


def test_names_of_certificates_are_below_the_file() -> None:
    said = read(
        'ca = "ca.pem"\n[host."https://a"]\nclient = [["/x.cert", "x.key"], "both.pem"]\n',
        "/certs/docker.io",
        V2,
    )
    assert set(said.certificates) == {
        "/certs/docker.io/ca.pem",
        "/x.cert",
        "/certs/docker.io/x.key",
        "/certs/docker.io/both.pem",
    }
    assert set(said.keys) == {"/certs/docker.io/x.key", "/certs/docker.io/both.pem"}


def test_pem_text_becomes_a_file_beside_it() -> None:
    files = files_of(
        {
            "server": "https://a",
            "ca": CERTIFICATE,
            "host": {"https://m": {"ca": CERTIFICATE, "client": [[CERTIFICATE, KEY]]}},
        },
        V2,
    )
    assert list(files.contents) == ["kubenode-1.pem", "kubenode-2.pem", "hosts.toml"]
    data = tomllib.loads(files.text)
    assert data["ca"] == "kubenode-1.pem"
    assert data["host"]["https://m"]["client"] == [["kubenode-1.pem", "kubenode-2.pem"]]
    assert KEY not in repr(files)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "says nothing"),
        ([], "is no dict"),
        ({"host": {"https://m": {"client": [CERTIFICATE, KEY]}}}, r"\[\[certificate, key\]\]"),
        ({"host": {"https://m": {"client": [[KEY, CERTIFICATE]]}}}, "without -----BEGIN"),
        ({"host": {"https://m": {"ca": KEY}}}, "without -----BEGIN CERTIFICATE"),
        ({"host": {"https://m": {"Ca": "/x"}}}, "is written ca"),
        ({"host": {"https://m": {"header": {"X": "a\nb"}}}}, "line end"),
        ({"host": {"https://m": None}}, "is no table"),
    ],
)
def test_what_is_wanted_must_be_right(settings: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        files_of(settings, V2)


def test_no_error_says_a_headers_value_or_a_password() -> None:
    settings = {
        "server": "https://user:hunter2@a",
        "host": {
            "https://user:hunter2@m": {
                "header": {"Authorization": ["hunter2", 5], "X Y": "hunter2", "Z": "hunter2\n"},
                "client": [[5, "hunter2"]],
            }
        },
    }
    with pytest.raises(ValueError, match="Authorization") as error:
        files_of(settings, V2)
    assert "hunter2" not in str(error.value)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
tables = st.fixed_dictionaries(
    {},
    optional={
        "capabilities": st.lists(st.sampled_from(("pull", "resolve", "push")), max_size=3),
        "ca": texts.filter(lambda text: text and "\0" not in text),
        "skip_verify": st.booleans(),
        "header": st.dictionaries(
            st.from_regex(r"[A-Za-z0-9-]{1,10}", fullmatch=True),
            st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF), max_size=20).filter(
                lambda text: "\x7f" not in text
            ),
            max_size=3,
        ),
    },
)


@given(
    st.dictionaries(st.from_regex(r"https://[a-z]{1,8}(:[1-9][0-9]{0,3})?", fullmatch=True), tables)
)
def test_what_is_written_says_what_was_wanted_in_its_order(hosts: dict[str, Any]) -> None:
    settings = {"server": "https://registry.example", "host": hosts}
    files = files_of(settings, V2)
    data = tomllib.loads(files.text)
    assert data["server"] == settings["server"]
    found = data.get("host", {})
    assert list(found) == list(hosts)
    for url, table in hosts.items():
        assert found[url] == {key: value for key, value in table.items() if value != {}}
    assert read(files.text, "/certs/a", V2).problems == ()


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    read(text, "/certs/a", V2)


def test_of_a_port_there_are_two_directories() -> None:
    assert directories("docker.io") == ["docker.io"]
    assert directories("r.example:5000") == ["r.example_5000_", "r.example:5000"]
    assert directories("[::1]:5000") == ["[::1]_5000_", "[::1]:5000"]


@pytest.mark.parametrize("name", ["docker.io", "_default", "r.example:5000", "[::1]:5000", "A.b-c"])
def test_registries_are_named_as_in_images(name: str) -> None:
    assert check_registry(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "https://docker.io", "docker.io/library", "../x", "a..b", "registry-1.docker.io", 5, "*",
     "a:b", "[::1]", ".hidden", "a\nb"],
)  # fmt: skip
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="registry"):
        check_registry(name)


# ---- What leaves the host

SHELLS = ("dash", "bash", "busybox sh")
ONLY_NAMES = registry_hosts.SCRIPT[: registry_hosts.SCRIPT.index("with_errors()")]


def sent(text: str, folder: Path, shell: str) -> tuple[str, str]:
    """The lines that leave the host, and why none do."""
    path = folder / "hosts.toml"
    path.write_text(text)
    script = (
        f"LC_ALL=C; nl='\n'; named=; is_key() {{ :; }}\n{ONLY_NAMES}\n"
        f'only_names {path}; printf "%s|%s" "$unclear" "$masked"'
    )
    done = subprocess.run(
        [*shell.split(), "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    why, _, lines = done.stdout.partition("|")
    return "".join(f"{line[1:]}\n" for line in lines.splitlines()), why


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "text",
    [
        '[host."https://a".header]\nAuthorization = "SECRET"\n',
        "[host.'https://a'.header]\n  Authorization='SECRET' # SECRET\n",
        '[header] # SECRET\nAuthorization = ["SECRET", "SECRET"]\n',
        '["header"]\n"Authorization" = "SECRET"\n# SECRET\n',
        '[host."https://a".header]\nX = "SECRET#]"\n[host."https://b"]\nca = "/c"\n',
        "[header]\nX = SECRET\n",
        '# SECRET\nserver = "https://a"\n  # SECRET\n',
        '[header]\r\nX = "SECRET"\r\n',
        '[header]\nX = "SECRET"',
    ],
)
def test_no_value_of_a_header_leaves_the_host(text: str, shell: str, tmp_path: Path) -> None:
    lines, why = sent(text, tmp_path, shell)
    assert why == ""
    assert "SECRET" not in lines
    # on the same lines, so that findings name them
    assert lines.count("\n") == len(text.splitlines())
    assert "server" in lines or "header" in lines.lower()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "text",
    [
        'header = {Authorization = "SECRET"}\n',
        'header.Authorization = "SECRET"\n',
        '[host."https://a"]\nheader.X = "SECRET"\n',
        'host = {"https://a" = {header = {X = "SECRET"}}}\n',
        '"he\\u0061der".X = "SECRET"\n',
        '["he\\u0061der"]\nX = "SECRET"\n',
        '[header]\nX = """\nSECRET"""\n',
        "[header]\nX = '''\nSECRET'''\n",
        '[header]\nX = [\n"SECRET",\n]\n',
        '[header]\nX = ["a", # ]\n"SECRET"]\n',
        '[header.more]\nX = "SECRET"\n',
        '[HEADER]\nX.y = "SECRET"\n',
        'server = "https://user:SECRET@a"\n',
        '[host."https://user:SECRET@a"]\n',
        'x = [\n["header"],\n{header = "SECRET"},\n]\n',
    ],
)
def test_nothing_is_sent_of_a_file_that_is_not_clear(text: str, shell: str, tmp_path: Path) -> None:
    lines, why = sent(text, tmp_path, shell)
    assert why != ""
    assert "SECRET" not in lines


@given(
    st.lists(
        st.sampled_from(
            ['[host."https://a"]', '[host."https://a".header]', "[header]", 'ca = "/c"', "# x", "",
             'X = "SECRET"', "Y = 'SECRET'", 'Z = ["SECRET"]', "]", '"SECRET",', "[[a]]", 'a = """',
             'header = {X = "SECRET"}', "  [header] # y", "W = [", '"""']
        ),
        max_size=8,
    )
)  # fmt: skip
def test_what_toml_takes_for_a_header_never_leaves_the_host(lines: list[str]) -> None:
    import tempfile

    text = "\n".join(lines) + "\n"
    try:
        data = tomllib.loads(text)
    except ValueError:
        data = {}
    tables = [data, *(data.get("host") or {}).values()] if data else []
    values = [table.get("header") for table in tables if isinstance(table, dict)]
    with tempfile.TemporaryDirectory() as folder:
        said, _ = sent(text, Path(folder), "dash")
    if any("SECRET" in repr(value) for value in values):
        header_lines = [line for line in said.splitlines() if "SECRET" in line]
        # what is left was no header's: a key of a host, or a line of a text
        without = tomllib.loads(said) if _is_toml(said) else {}
        tables = [without, *(without.get("host") or {}).values()]
        left = [table.get("header") for table in tables if isinstance(table, dict)]
        assert not any("SECRET" in repr(value) for value in left), header_lines


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except ValueError:
        return False
    return True


def test_the_whole_script_fits_into_an_argument() -> None:
    from kubenode.facts import containerd

    scripts = {containerd.DAEMON_PROBE: containerd.script_daemon()}
    assert len(probe.command(scripts)) < 64 * 1024


def test_capabilities_are_those_that_containerd_knows() -> None:
    assert hosts_toml.CAPABILITIES == ("pull", "resolve", "push", "referrers")
