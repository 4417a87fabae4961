"""What systemd-sysctl will set at the next boot: sysctl.d(5)'s precedence, and who wins.

A pure function of the files. The rules (man sysctl.d, systemd's ``src/sysctl/sysctl.c`` and
``src/basic/conf-files.c``, the same from systemd 252 to 262):

* The ``*.conf`` files of all directories are read in the order of their file names. A name in an
  earlier directory masks the same name in a later one, also when it is empty or a link to
  ``/dev/null``.
* A key's first separator decides: ``net/ipv4/conf/eth0.1/tag`` is taken as it stands, in
  ``net.ipv4.conf.eth0/1.tag`` dots and slashes are exchanged.
* A later assignment of the same key takes the place of the earlier one *and goes to the end*,
  unless the value is the same: then the earlier one keeps its place.
* The assignments are then applied in that order. One whose key has ``*``, ``?`` or ``[`` applies to
  every variable it matches, but for those that any line names literally, wherever that line is.
* ``-key = value`` ignores errors. ``-key`` alone takes the key out: it ends an earlier assignment
  of the same key, and no glob sets it.

* ``/run`` is empty when a boot begins: a file there sets nothing at the next one, nor masks any.
* What a variable reads already is not written (``WRITE_STRING_FILE_SUPPRESS_REDUNDANT_VIRTUAL``),
  so ``net.ipv6.conf.all.forwarding = 0`` leaves ``default`` as a line before has set it.

Values are what the kernel makes of a text, see :mod:`kubenode.linux.sysctl_value`.

Files of strangers are gone through in time that grows with their size, and not beyond
:data:`MOST_LINES` and :data:`MOST_GLOBS`: what is more makes the boot unknown.

What is not seen here: a file that a generator writes to ``/run``, values a service sets later,
credentials (``sysctl.extra``), the initrd, and a value the kernel refuses at boot.

``sysctl --system`` of procps is another program with other rules: it also reads
``/etc/sysctl.conf``, last of all. systemd-sysctl reads that file only where a link in
``/etc/sysctl.d`` leads to it (Debian up to 12).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import chain, islice
from typing import Literal, TypedDict

from kubenode.linux.drop_ins import in_force, lasting, masked_by
from kubenode.linux.kernel_command_line import PATH as COMMAND_LINE
from kubenode.linux.kernel_command_line import parameters
from kubenode.linux.place import Place
from kubenode.linux.sysctl_value import SPACE, is_number, is_value, kernel_value, words

DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
"""Earlier ones mask later ones. ``/lib`` counts only where it is no link to ``/usr/lib``."""

PROCPS_FILE = "/etc/sysctl.conf"

SAME_VARIABLE = (
    ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding"),
    ("net/netfilter/nf_conntrack_max", "net/nf_conntrack_max"),
    ("fs/inotify/max_user_instances", "user/max_inotify_instances"),
    ("fs/inotify/max_user_watches", "user/max_inotify_watches"),
)
"""Two names of one kernel variable: what is applied last wins, whichever name it uses."""

HEADER = "# kubenode sets keys in this file, and keeps what else is in it.\n"

MARK = "# disabled by kubenode: "

MOST_LINES = 50_000
"""Assignments in all of a host's files. Debian has 20, a hardening guide some hundred."""
MOST_GLOBS = 200
"""Patterns that may set one key, those that braces stand for counted. Debian has 3."""
MOST_GLOB_CHARACTERS = 20_000
"""Of these patterns: each is compiled."""
MOST_SHOWN = 100
"""Lines of one key that lose, or do not count, that are kept to be shown."""

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_:@+./-]*")
# systemd takes a lone carriage return for the end of a line, an editor does not count it
_SPECIAL = re.compile(r"[][*?{}\\]")
_PART_END = re.compile("([\r\0])")


def check_key(key: object) -> str:
    """*key* itself when it can be one sysctl's name, ValueError with what was expected if not."""
    if not isinstance(key, str):
        raise ValueError(f"{key!r} is not a sysctl key, write it as net.ipv4.ip_forward")
    parts = path_of(key).split("/")
    if not _KEY.fullmatch(key) or len(parts) < 2 or ".." in parts or key[-1] in "./":
        raise ValueError(f"{key!r} is not a sysctl key, write it as net.ipv4.ip_forward (no globs)")
    return key


def check_value(key: str, value: object) -> str:
    """*value* as the text to write, ValueError with what was expected when it is none.

    + key: the sysctl it is for
    + value: a whole number, or one line of printable ASCII text

    A number is written as the kernel shows it: ``1`` for ``0x1``.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(f"{key}: {value!r} is not a sysctl value, expected a number or text")
    text = words(str(value))
    if not text or not (text.isascii() and text.isprintable()) or re.search(r"[\r\n]", str(value)):
        raise ValueError(f"{key}: {value!r} is not a sysctl value, expected one line of text")
    path = path_of(key)
    if is_number(path, text) and not all(is_number(path, word) for word in text.split()):
        raise ValueError(f"{key}: {value!r} is not a sysctl value, expected numbers alone")
    return kernel_value(path, text)


def path_of(key: str) -> str:
    """A key as the path under ``/proc/sys``, such as ``net/ipv4/ip_forward``."""
    separator = re.search(r"[/.]", key)
    if separator and separator[0] == ".":
        key = key.translate({ord("."): "/", ord("/"): "."})
    return "/".join(part for part in key.split("/") if part not in ("", "."))


@dataclass(frozen=True, slots=True)
class Line(Place):
    """One assignment (or, with no value, one exclusion) in a file."""

    line: int
    key: str
    """As it is written there, without the leading ``-``."""
    value: str | None
    path: str

    @property
    def text(self) -> str:
        """The line in short, to show it: ``key=value``, or ``-key`` for an exclusion."""
        text = f"-{self.key}" if self.value is None else f"{self.key}={self.value}"
        return text if len(text) <= 200 else f"{text[:200]}..."


@dataclass(frozen=True)
class Boot:
    """What the next boot will do to one key."""

    state: Literal["set", "unset", "unknown"]
    """``unset``: no file sets it, the kernel's own default stays. ``unknown``: what could not be
    read could change the answer."""
    value: str | None = None
    """What the kernel makes of the winner's value, by
    :func:`~kubenode.linux.sysctl_value.kernel_value`."""
    winner: Line | None = None
    beaten: tuple[Line, ...] = ()
    """Other lines that assign the key, in reading order; those that say the same are among them."""
    ignored: tuple[tuple[Line, str], ...] = ()
    """Lines that look as if they set the key and do not, with the reason."""
    more: int = 0
    """How many of both there are beyond the first :data:`MOST_SHOWN` of each."""
    excluded_by: Line | None = None
    """The ``-key`` line that keeps an assignment from being applied."""
    reason: str = ""
    """Why the state is unknown."""


class TreeShape(TypedDict):
    """Everything the next boot's sysctls follow from, as facts have it: ``Tree(**shape)``."""

    files: dict[str, str | None]
    """Exact text by path (:mod:`kubenode.files.exact_text`), None when it could not be read."""
    links: dict[str, str]
    unreadable: list[str]
    """Directories that could not be read."""
    command_line: str | None


@dataclass(frozen=True)
class Tree:
    """The files that decide, as they are or as they will be.

    + files: text by path, None for one that could not be read; ``/etc/sysctl.conf`` may be there
    + links: where symbolic links among them lead
    + unreadable: directories that could not be read
    + command_line: the kernel's, None when it could not be read
    """

    files: Mapping[str, str | None]
    links: Mapping[str, str] = field(default_factory=dict)
    unreadable: Collection[str] = ()
    command_line: str | None = ""

    def with_file(self, path: str, text: str) -> Tree:
        """The tree once *text* was written to *path*; a link there becomes a file."""
        links = {link: target for link, target in self.links.items() if link != path}
        files = {
            other: text if other == path or links.get(other) == path else old
            for other, old in self.files.items()
        }
        return replace(self, files={**files, path: text}, links=links)

    def with_lines_disabled(self, lines: Iterable[Line]) -> tuple[Tree, dict[str, str]]:
        """The tree once *lines* no longer count, and the files to write for that, each with the
        file it is an edited copy of.

        A file of the administrator, in ``/etc``, is edited, through a link if it is one. Any other
        file is its package's or a program's, it would be back after an upgrade or a boot: it is
        masked by an edited copy of the same name in ``/etc/sysctl.d``, as sysctl.d(5) advises.
        """
        unwanted: dict[str, dict[int, set[tuple[str, str | None]]]] = {}
        for line in lines:
            numbers = unwanted.setdefault(line.file, {})
            numbers.setdefault(line.line, set()).add((line.key, line.value))
        after, edits = self, {}
        for file, numbers in unwanted.items():
            # one edit may have changed what another link leads to
            text = after.files[file]
            assert text is not None
            texts = text.split("\n")
            for number, assignments in numbers.items():
                texts[number - 1] = "".join(
                    MARK + part if assignment(part) in assignments else part
                    for part in _PART_END.split(texts[number - 1])
                )
            real = self.links.get(file, file)
            path = real if real.startswith("/etc/") else f"/etc/sysctl.d/{file.rpartition('/')[2]}"
            after = after.with_file(path, "\n".join(texts))
            edits[path] = real
        return after, edits

    def boot(self, key: str) -> Boot:
        """What the next boot will do to *key*."""
        path = path_of(key)
        known = self._same._boots
        if path not in known:
            known[path] = _resolve(self._same, path)
        return known[path]

    @cached_property
    def _same(self) -> Tree:
        """This tree, or another host's that decides the same."""
        if sum(len(text or "") for text in self.files.values()) > _MOST_KEPT:
            return self
        return _kept(
            tuple(self.files.items()),
            tuple(self.links.items()),
            frozenset(self.unreadable),
            self.command_line,
        )

    @cached_property
    def _boots(self) -> dict[str, Boot]:
        """What :func:`_resolve` found, by path."""
        return {}

    @cached_property
    def in_force(self) -> list[str]:
        """The files that systemd-sysctl will read at the next boot, in its order."""
        return in_force(self.files, lasting(DIRECTORIES))

    @cached_property
    def lines(self) -> list[Line]:
        """Every assignment and exclusion that is read, in reading order; not more than
        :data:`MOST_LINES`."""
        every = (line for path in self.in_force for line in _lines(path, self.files[path]))
        return list(islice(every, MOST_LINES))

    @cached_property
    def lines_by_path(self) -> dict[str, list[Line]]:
        """Those lines by what they name, in reading order."""
        return _by_path(self.lines)

    @cached_property
    def ignored_by_path(self) -> dict[str, list[tuple[Line, str]]]:
        """Lines that are not read, or are no assignments, by what they name, with the reason."""
        ignored: dict[str, list[tuple[Line, str]]] = {}
        for line, reason in islice(_ignored(self), MOST_LINES):
            ignored.setdefault(line.path, []).append((line, reason))
        return ignored

    @cached_property
    def options(self) -> dict[str, Line]:
        """What is left once later assignments took the place of earlier ones, in applied order."""
        options: dict[str, Line] = {}
        for line in self.lines:
            earlier = options.get(line.path)
            if earlier is not None:
                if earlier.value == line.value:
                    continue
                del options[line.path]
            options[line.path] = line
        return options

    @cached_property
    def globs(self) -> dict[str, list[str]]:
        """The patterns among the options, by what is in front of their first special character."""
        globs: dict[str, list[str]] = {}
        for path in self.options:
            if is_glob(path):
                globs.setdefault(_SPECIAL.split(path, maxsplit=1)[0], []).append(path)
        return globs

    @cached_property
    def places(self) -> dict[str, int]:
        """When each option is applied."""
        return {path: place for place, path in enumerate(self.options)}

    @cached_property
    def command_line_lines(self) -> list[Line]:
        """The ``sysctl.KEY=VALUE`` parameters of the kernel's command line."""
        found = []
        for name, value in parameters(self.command_line or ""):
            match = re.fullmatch(r"sysctl[./](.+)", name)
            if match and value is not None:
                # the kernel knows no exchange of dots and slashes
                path = path_of(match[1].replace(".", "/"))
                found.append(Line(COMMAND_LINE, 1, match[1], value, path))
        return found


# Most hosts of a fleet have the same files, and to go through them takes longer than all else that
# an operation does with them. Few trees are kept, and no long ones.
_MOST_KEPT = 128 * 1024


@lru_cache(maxsize=16)
def _kept(
    files: tuple[tuple[str, str | None], ...],
    links: tuple[tuple[str, str], ...],
    unreadable: frozenset[str],
    command_line: str | None,
) -> Tree:
    return Tree(dict(files), dict(links), unreadable, command_line)


def without_conflicts(
    before: Tree, path: str, text: str, wanted: Mapping[str, str]
) -> tuple[Tree, dict[str, str], list[tuple[str, Line]]]:
    """The files once *path* holds *text* and every line that would win over it is disabled.

    + before: the files as they are
    + path: our file
    + text: what it will hold; it assigns all that is wanted
    + wanted: value by key

    Returns the tree; the other files to write for it, each with the file it is an edited copy of;
    and the lines that are disabled, each with the key it would decide. Where that is not enough,
    because something could not be read, :meth:`Tree.boot` of the tree still says so.
    """
    after = before.with_file(path, text)
    edits: dict[str, str] = {}
    conflicts: list[tuple[str, Line]] = []
    ours = {path_of(key) for key in wanted}
    for key, value in wanted.items():
        # once a key is named nowhere else, globs set it that did not before
        for _ in range(_MOST_ROUNDS):
            winning = _winning_over(after, path, key, value, ours)
            if not winning:
                break
            conflicts += [(key, line) for line in winning]
            disabled, edited = after.with_lines_disabled(winning)
            if disabled == after:
                break  # it was no use, once more would be none either
            after = disabled
            for target, source in edited.items():
                edits.setdefault(target, source)
    return after, edits, conflicts


_MOST_ROUNDS = 8


def _winning_over(tree: Tree, file: str, key: str, value: str, ours: Collection[str]) -> list[Line]:
    """The lines that are not ours because of which *key* does not become *value*, the last first.

    + file: the one that has our lines, beside others
    + ours: the variables that they are about
    """
    boot = tree.boot(key)
    path = path_of(key)
    if (boot.value is not None and is_value(path, boot.value, value)) or boot.reason:
        return []
    variables = _Variables.of(path)
    hits, _ = _hits(tree, variables.names)
    # of each option the lines one after the other that say the same: the first has the place
    runs: dict[str, list[list[Line]]] = {}
    for each in hits:
        for line in tree.lines_by_path[each]:
            option = runs.setdefault(each, [])
            if option and option[-1][0].value == line.value:
                option[-1].append(line)
            else:
                option.append([line])
    read = {line: number for number, line in enumerate(tree.lines) if line.path in runs}
    disabled: list[Line] = []
    while True:
        left = sorted((option[-1][0] for option in runs.values() if option), key=read.__getitem__)
        winner = _outcome(tree, variables, [(line, hits[line.path]) for line in left])[0]
        if winner is None or winner.file == COMMAND_LINE:
            winner = next((line for line in left if line.value is None), None)
        # a copy in /etc, where the line is disabled, would mask our own lines with it
        if winner is None or (
            winner.file == file and (winner.path in ours or not file.startswith("/etc/"))
        ):
            return disabled
        if winner.value is not None and is_value(path, kernel_value(path, winner.value), value):
            return disabled
        disabled += runs[winner.path].pop()


def is_glob(path: str) -> bool:
    """Whether systemd takes a key for a pattern: braces alone do not make one."""
    return any(character in path for character in "*?[")


def matches(pattern: str, path: str) -> bool | None:
    """Whether a glob matches a path as glob(3) with GLOB_BRACE does: not across ``/``.

    None, for cannot tell, when the pattern is too long or has too many braces to go through.
    """
    patterns = _braces(pattern)
    if patterns is None:
        return None
    return any(_glob(expanded).fullmatch(path) is not None for expanded in patterns)


_MOST_CHARACTERS = 1000
_MOST_STEPS = 20_000


@lru_cache(maxsize=1024)
def _braces(pattern: str) -> tuple[str, ...] | None:
    """The patterns that braces stand for; None when there are too many to go through."""
    if len(pattern) > _MOST_CHARACTERS:
        return None
    found: list[str] = []
    left = [pattern]
    steps = 0
    while steps <= _MOST_STEPS:
        if not left:
            return tuple(found)
        pattern = left.pop()
        steps += len(pattern) + 1
        alternatives = _alternatives(pattern)
        if alternatives is None:
            found.append(pattern)
        else:
            left += alternatives
    return None


def _alternatives(pattern: str) -> list[str] | None:
    """What the first ``{a,b}`` makes of a pattern, None when it has none.

    An unbalanced brace stands for itself.
    """
    for opening in re.finditer(r"\\.|{", pattern, re.DOTALL):
        if opening[0] == "{":
            break
    else:
        return None
    start, depth = opening.end(), 1
    parts, position = [], start
    while position < len(pattern) and depth:
        character = pattern[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
        if (character == "," and depth == 1) or (character == "}" and depth == 0):
            parts.append(pattern[start:position])
            start = position + 1
        position += 1
    if depth:
        return None
    return [pattern[: opening.start()] + part + pattern[start:] for part in parts]


_CLASSES = {
    "alnum": "A-Za-z0-9",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
    "punct": re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
}


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    # A * and what follows it up to the next one, to a / or to the end is an atomic group: the
    # first place where that fits is as good as any, so nothing is gained by trying others.
    expression = []
    in_group = False
    at_start = True
    position = 0
    while position < len(pattern):
        character = pattern[position]
        bracket = _bracket(pattern, position) if character == "[" else None
        # a leading dot is matched only by a dot
        guard = r"(?!\.)" if at_start else ""
        if character == "*":
            expression.append(f"{')' * in_group}(?>{guard}[^/]*?")
            in_group = True
        elif character == "?":
            expression.append(guard + "[^/]")
        elif bracket:
            expression.append(guard + "(?!/)" + bracket[0])
            position = bracket[1]
        elif character == "\\" and position + 1 < len(pattern):
            position += 1
            expression.append(re.escape(pattern[position]))
        else:
            expression.append(re.escape(character))
        if character == "/" and in_group:
            expression.append(")")
            in_group = False
        at_start = character == "/"
        position += 1
    return re.compile("".join(expression) + r"\Z" + ")" * in_group, re.DOTALL)


def _bracket(pattern: str, start: int) -> tuple[str, int] | None:
    """The regular expression of ``[...]`` and where it ends; None when it does not end."""
    position = start + 1
    negated = pattern[position : position + 1] in ("!", "^")
    position += negated
    items: list[str] = []
    first = True
    while position < len(pattern):
        character = pattern[position]
        named = re.compile(r"\[:([a-z]+):\]").match(pattern, position)
        if character == "]" and not first:
            members = "".join(items)
            if not members:
                return ("." if negated else "(?!)", position)
            return (f"[{'^' if negated else ''}{members}]", position)
        if character == "/":
            return None
        if named and named[1] in _CLASSES:
            items.append(_CLASSES[named[1]])
            position = named.end()
        else:
            low, position = _member(pattern, position)
            high = low
            if re.compile(r"-[^\]]").match(pattern, position):
                high, position = _member(pattern, position + 1)
            if low <= high:
                items.append(f"{re.escape(low)}-{re.escape(high)}")
        first = False
    return None


def _member(pattern: str, position: int) -> tuple[str, int]:
    if pattern[position] == "\\" and position + 1 < len(pattern):
        position += 1
    return pattern[position], position + 1


def _lines(path: str, text: str | None) -> Iterator[Line]:
    for number, line in enumerate((text or "").split("\n"), 1):
        for part in _PART_END.split(line):
            if found := assignment(part):
                yield Line(path, number, *found, path_of(found[0]))


def assignment(line: str) -> tuple[str, str | None] | None:
    """The key, and the value or None for an exclusion; None when the line is neither.

    + line: one line of a sysctl.d file, without what ends it
    """
    content = line.strip(SPACE)
    if not content or content[0] in "#;":
        return None
    key, equals, value = content.partition("=")
    if content[0] == "-":
        key = key[1:]
    elif not equals:
        return None
    return key.strip(SPACE), value.strip(SPACE) if equals else None


def _not_assignments(path: str, text: str | None) -> Iterator[Line]:
    """Lines systemd-sysctl complains about and skips, by the key they seem to mean."""
    for number, line in enumerate((text or "").split("\n"), 1):
        content = line.strip(SPACE)
        if content and content[0] not in "#;-" and "=" not in content:
            key, *value = re.split(f"[{SPACE}:]+", content, maxsplit=1)
            yield Line(path, number, key, "".join(value), path_of(key))


def _names(path: str) -> set[str]:
    """Every name of the variable at *path*."""
    return {path, *(name for names in SAME_VARIABLE if path in names for name in names)}


def _leader(path: str) -> tuple[str, bool] | None:
    """The variable that sets *path* too when it is written, and whether it always does.

    The kernel copies forwarding and disable_ipv6 of ``all`` to ``default`` and to the interfaces:
    of IPv6 always to ``default``; of IPv4 only when the value of ``all`` changes; to an interface
    only when it is there already.
    """
    match = re.fullmatch(r"net/(ipv[46])/conf/([^/]+)/(forwarding|disable_ipv6)", path)
    if not match or match[2] == "all":
        return None
    if match[1] == "ipv6":
        return f"net/ipv6/conf/all/{match[3]}", match[2] == "default"
    return ("net/ipv4/ip_forward", False) if match[3] == "forwarding" else None


@dataclass(frozen=True)
class _Variables:
    """What decides one key: names of variables."""

    own: frozenset[str]
    """Those of the key's own variable."""
    leader: frozenset[str]
    """Of one that the kernel copies to it whenever it is written."""
    possible: frozenset[str]
    """Of one that the kernel may copy to it."""

    @classmethod
    def of(cls, path: str) -> _Variables:
        leader, always = _leader(path) or (None, False)
        names = frozenset(_names(leader)) if leader else frozenset[str]()
        none = frozenset[str]()
        return cls(frozenset(_names(path)), names if always else none, none if always else names)

    @property
    def names(self) -> frozenset[str]:
        return self.own | self.leader | self.possible


def _hits(tree: Tree, names: Collection[str]) -> tuple[dict[str, list[str]], Line | None]:
    """Which options apply to which of *names*, and the first that is too much to tell it of.

    A glob does not apply to what any line names literally.
    """
    hits = {name: [name] for name in sorted(names) if name in tree.options}
    globs, unclear = _globs_that_match(tree, [name for name in names if name not in hits])
    return {**hits, **globs}, unclear


def _globs_that_match(
    tree: Tree, names: Collection[str]
) -> tuple[dict[str, list[str]], Line | None]:
    found: dict[str, list[str]] = {}
    patterns = characters = 0
    starts = {name[:size] for name in names for size in range(len(name) + 1)}
    for glob in chain.from_iterable(tree.globs.get(start, ()) for start in sorted(starts)):
        expanded = _braces(glob)
        patterns += len(expanded or ())
        characters += sum(map(len, expanded or ()))
        if expanded is None or patterns > MOST_GLOBS or characters > MOST_GLOB_CHARACTERS:
            return found, tree.options[glob]
        if matching := sorted(name for name in names if matches(glob, name)):
            found[glob] = matching
    return found, None


def _outcome(
    tree: Tree, variables: _Variables, hits: Sequence[tuple[Line, Sequence[str]]]
) -> tuple[Line | None, Line | None]:
    """The line that decides the key, and one that may set it after that.

    + hits: lines in the order they are applied, and the names each applies to
    """
    winner: Line | None = None
    uncertain: Line | None = None
    # the kernel itself writes what its command line says, without a look at what is there
    shown = "0"
    for line in tree.command_line_lines:
        if line.path in variables.own or line.path in variables.leader:
            winner = line
            if line.path in variables.leader and is_number(line.path, line.value or ""):
                shown = kernel_value(line.path, line.value or "")
    for line, names in hits:
        if line.value is None:
            continue
        for name in names:
            if name in variables.own:
                winner, uncertain = line, None
            elif name in variables.leader:
                if line.value != shown and is_number(name, line.value):
                    winner, uncertain = line, None
                    shown = kernel_value(name, line.value)
            elif winner is None or kernel_value(name, winner.value or "") != kernel_value(
                name, line.value
            ):
                uncertain = line
    return winner, uncertain


def _resolve(tree: Tree, path: str) -> Boot:
    variables = _Variables.of(path)
    hits, unclear = _hits(tree, variables.names)
    applied = sorted(hits, key=tree.places.__getitem__)
    winner, uncertain = _outcome(
        tree, variables, [(tree.options[each], hits[each]) for each in applied]
    )
    beaten, ignored, excluded_by = _others(tree, variables.own | variables.leader, winner)
    reason = _blind_spot(tree, winner, variables.names)
    if unclear:
        reason = reason or f"{unclear} ({unclear.text[:40]}...) stands for too many keys"
    if uncertain:
        reason = f"{uncertain} ({uncertain.text}) may set it too"
    return Boot(
        state="unknown" if reason else "set" if winner else "unset",
        value=kernel_value(path, winner.value or "") if winner and not reason else None,
        winner=winner,
        beaten=tuple(beaten[:MOST_SHOWN]),
        ignored=tuple(ignored[:MOST_SHOWN]),
        more=len(beaten[MOST_SHOWN:]) + len(ignored[MOST_SHOWN:]),
        excluded_by=excluded_by,
        reason=reason,
    )


def _others(
    tree: Tree, names: frozenset[str], winner: Line | None
) -> tuple[list[Line], list[tuple[Line, str]], Line | None]:
    """Lines that lose, lines that do not count with the reason, and an exclusion that is why."""
    literal = {name: [name] for name in sorted(names) if name in tree.lines_by_path}
    hits = {**literal, **_globs_that_match(tree, names)[0]}
    # also what no line names now, or a file that is not read
    order = {path: place for place, path in enumerate(tree.in_force)}
    lines = [line for each in hits for line in tree.lines_by_path[each]]
    lines.sort(key=lambda line: (order[line.file], line.line))
    lines[:0] = [line for line in tree.command_line_lines if line.path in names]
    beaten: list[Line] = []
    ignored: list[tuple[Line, str]] = []
    excluded_by: Line | None = None
    for line in lines:
        if line == winner or line.value is None:
            continue
        exclusions = [
            option
            for option in (tree.options.get(name) for name in [line.path, *hits.get(line.path, ())])
            if option and option.value is None and line.file != COMMAND_LINE
        ]
        if exclusions:
            excluded_by = excluded_by or exclusions[0]
            ignored.append((line, f"excluded by {exclusions[0]} ({exclusions[0].text})"))
        else:
            beaten.append(line)
    for name in sorted(names):
        ignored += tree.ignored_by_path.get(name, ())
    return beaten, ignored, excluded_by


def _by_path(lines: Iterable[Line]) -> dict[str, list[Line]]:
    by_path: dict[str, list[Line]] = {}
    for line in lines:
        by_path.setdefault(line.path, []).append(line)
    return by_path


def _ignored(tree: Tree) -> Iterator[tuple[Line, str]]:
    for path in tree.in_force:
        for line in _not_assignments(path, tree.files[path]):
            yield line, "not an assignment, it has no ="
    linked = {tree.links.get(path) for path in tree.in_force}
    for path in sorted(set(tree.files) - set(tree.in_force)):
        masking = masked_by(path, tree.files, lasting(DIRECTORIES))
        if masking:
            reason = f"masked by {masking}"
        elif path == PROCPS_FILE and path not in linked:
            reason = "systemd-sysctl does not read /etc/sysctl.conf, only sysctl --system does"
        elif path.startswith("/run/"):
            reason = "/run is empty after a boot"
        else:
            continue
        for line in _lines(path, tree.files[path]):
            yield line, reason


def _blind_spot(tree: Tree, winner: Line | None, names: Collection[str]) -> str:
    """What could not be read and could change the answer; empty when nothing could."""
    if tree.unreadable:
        return f"{min(tree.unreadable)} could not be read"
    if len(tree.lines) >= MOST_LINES:
        return f"{tree.lines[-1]} is assignment {MOST_LINES}, no further ones were looked at"
    # Later files decide over a line with the key's only name; over a glob, and where names or
    # equal assignments compete, any file may.
    certain = winner is not None and len(names) == 1 and not is_glob(winner.path)
    for path in reversed(tree.in_force):
        if tree.files[path] is None:
            return f"{path} could not be read, or is too long"
        if certain and winner and winner.file == path:
            break
    if winner is None and tree.command_line is None:
        return f"{COMMAND_LINE} could not be read"
    return ""


def rendered(values: Mapping[str, str]) -> str:
    """The file that sets *values*, in their order."""
    return HEADER + "".join(f"{key} = {value}\n" for key, value in values.items())


def check_values(values: object) -> dict[str, str]:
    """*values* as texts by key, ValueError with what was expected when they cannot all be set.

    + values: a dict of sysctl keys and values, see :func:`check_key` and :func:`check_value`. Two
      keys of one variable must agree: they are applied in the order given
    """
    if not isinstance(values, dict):
        raise ValueError(f"{values!r} is not a dict of sysctl keys and values")
    wanted: dict[str, str] = {}
    keys: dict[str, str] = {}
    for key, value in values.items():
        wanted[check_key(key)] = check_value(key, value)
        other = keys.setdefault(path_of(key), key)
        if other != key:
            raise ValueError(f"{other} and {key} are the same key")
    file = f"{DIRECTORIES[0]}/values.conf"
    alone = Tree(files={file: rendered(wanted)})
    for key, value in wanted.items():
        boot = alone.boot(key)
        if boot.value is None or not is_value(path_of(key), boot.value, value):
            cause = boot.reason or (f"{boot.winner.text} comes later" if boot.winner else "")
            raise ValueError(
                f"{key} would not stay {value}, another key sets the same variable: "
                f"{cause.replace(f'{file}:', 'line ')}"
            )
    return wanted
