"""The flags that kubelet is started with, from its unit as systemd has it, or from its process.

Sources: systemd.service(5) "COMMAND LINES", systemd.exec(5) ``Environment=`` and
``EnvironmentFile=`` (and systemd's env-file.c and extract-word.c, which say what the pages do not);
pflag, by which kubelet reads flags: the last one wins, and ``_`` is ``-`` in their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kubenode.files.cannot_tell import CannotTell
from kubenode.linux.environment_file import NAME as _NAME
from kubenode.linux.environment_file import environment_file, split

UNIT = "kubelet.service"
PROCESS = "kubelet's command line"

# of kubelet's flags, those that facts ask for and that have a value of their own
_WITH_VALUE = frozenset({"cgroup-driver", "config", "config-dir", "container-runtime-endpoint"})
_BOOLEANS = frozenset({"fail-swap-on", "fail-cgroupv1"})
# what systemd itself puts into a service's environment, systemd.exec(5)
_OF_SYSTEMD = frozenset(
    {"PATH", "LANG", "USER", "LOGNAME", "HOME", "SHELL", "INVOCATION_ID", "RUNTIME_DIRECTORY",
     "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY",
     "CREDENTIALS_DIRECTORY", "SYSTEMD_EXEC_PID", "MAINPID", "TERM", "MONITOR_SERVICE_RESULT"}
)  # fmt: skip
_MOST_WORDS = 4096


class Word(NamedTuple):
    """An argument, and where it was stated: a file, :data:`UNIT` or :data:`PROCESS`."""

    text: str
    source: str


class Flag(NamedTuple):
    """A flag's value, and where it was stated."""

    value: str
    source: str


class EnvironmentFile(NamedTuple):
    """A file that ``EnvironmentFile=`` names."""

    path: str
    text: str | None
    """None when there is none."""
    optional: bool
    """Whether the service starts without it (``-``)."""


def of_process(arguments: Sequence[str]) -> list[Word]:
    """The words of a running kubelet, without its program.

    + arguments: of ``/proc/PID/cmdline``
    """
    return [Word(argument, PROCESS) for argument in arguments[1:]]


def of_unit(
    exec_start: Sequence[str], environment: str, unset: str, files: Iterable[EnvironmentFile]
) -> list[Word]:
    """The words that systemd would start kubelet with, without its program.

    + exec_start: each ``ExecStart`` of ``systemctl show``
    + environment: its ``Environment``
    + unset: its ``UnsetEnvironment``
    + files: its ``EnvironmentFiles``, in order

    systemd shows arguments without their quotes, and with variables as they were written. Files win
    over ``Environment=``, later ones over earlier ones; ``$NAME`` that is a word of its own is
    split into words, ``${NAME}`` is not. CannotTell where what is shown can be read in several
    ways, and where kubelet is not what is started.
    """
    words = _command(exec_start)
    variables = {name: Word(value, UNIT) for name, value in _environment(environment)}
    for file in files:
        if file.text is None:
            if not file.optional:
                raise CannotTell(f"{file.path} is missing, and {UNIT} does not start without it")
            continue
        for name, value in environment_file(file.text, file.path):
            variables[name] = Word(value, file.path)
    for assignment in split(unset, UNIT):
        name, equals, value = assignment.partition("=")
        if name in variables and (not equals or variables[name].text == value):
            del variables[name]
    expanded = [word for text in words for word in _expanded(text, variables)]
    if len(expanded) > _MOST_WORDS:
        raise CannotTell(f"{UNIT} has more than {_MOST_WORDS} arguments")
    return expanded


def _command(exec_start: Sequence[str]) -> list[str]:
    if len(exec_start) != 1:
        raise CannotTell(f"{UNIT} has {len(exec_start)} commands")
    found = re.fullmatch(
        r"\{ path=(.+?) ; argv\[\]=(.*) ; ignore_errors=(?:yes|no) ; .*\}", exec_start[0]
    )
    if not found:
        raise CannotTell(f"{UNIT}: what systemd shows of its ExecStart cannot be read")
    path, arguments = found[1], found[2].split(" ")
    # a shell or another wrapper does with its arguments what it likes
    if path.rpartition("/")[2] != "kubelet":
        raise CannotTell(f"{UNIT} starts {path[:60]}, which may start kubelet with other arguments")
    return arguments[1:]


def _environment(shown: str) -> Iterator[tuple[str, str]]:
    for assignment in split(shown, UNIT):
        name, equals, value = assignment.partition("=")
        if not equals:
            raise CannotTell(f"{UNIT}: what systemd shows of its Environment cannot be read")
        yield name, value


def _expanded(text: str, variables: Mapping[str, Word]) -> list[Word]:
    if re.match(r"\$[^${]", text):
        name = text[1:]
        if not re.fullmatch(_NAME, name) or name in _OF_SYSTEMD - variables.keys():
            raise CannotTell(f"{UNIT}: {text[:60]!r} is not known to be any variable's value")
        if name not in variables:
            return []
        value, source = variables[name]
        return [Word(word, source) for word in split(value)]
    source = UNIT

    def value_of(found: re.Match[str]) -> str:
        nonlocal source
        if found[0] == "$$":
            return "$"
        name = found[1]
        # stays as it is, and so is no path
        if name in _OF_SYSTEMD - variables.keys():
            return found[0]
        value = variables.get(name)
        if value is None:
            return ""
        source = value.source
        return value.text

    return [Word(re.sub(r"\$\$|\$\{([^}]*)\}", value_of, text), source)]


def flags(words: Sequence[Word]) -> dict[str, Flag]:
    """The value of each flag by its name, as pflag reads them.

    + words: of :func:`of_unit` or :func:`of_process`

    A flag without a value has ``true``. CannotTell for a word that belongs to no flag: kubelet
    takes none, so an argument was not read as it is.
    """
    found: dict[str, Flag] = {}
    left = iter(words)
    pending: str | None = None
    for text, source in left:
        if text == "--":
            break
        if not text.startswith("-"):
            if pending is None:
                # not shown: it may be a secret's part
                raise CannotTell(f"{source}: an argument belongs to no flag")
            found[pending] = Flag(text, source)
            pending = None
            continue
        pending = None
        name, equals, value = text.lstrip("-").partition("=")
        name = name.replace("_", "-")
        if not text.startswith("--"):
            # -v, -v=2, -v 2
            pending = None if equals else f"-{name}"
        elif equals:
            found[name] = Flag(value, source)
        elif name in _WITH_VALUE:
            following = next(left, None)
            if following is None:
                raise CannotTell(f"{source}: --{name} has no value")
            found[name] = Flag(following.text, following.source)
        else:
            found[name] = Flag("true", source)
            pending = None if name in _BOOLEANS else name
    return found


def truth(flag: Flag | None) -> bool | None:
    """What a flag says that is on or off, as Go's ParseBool reads it; None for neither."""
    if flag is None:
        return None
    if flag.value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    return False if flag.value in ("0", "f", "F", "FALSE", "false", "False") else None
