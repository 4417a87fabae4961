"""containerd's facts: what a note of an interrupted change says, and who is at work on packages."""

from __future__ import annotations

import pytest

from kubenode.facts.containerd import UnprovenShape, parse_daemon, parse_package
from kubenode.files.whole_file import sum_of
from kubenode.wire.reading import Reading

MAIN, NOTE = "/etc/containerd/config.toml", "/etc/containerd/config.toml.kubenode-unproven"
OLD, NEW = b"version = 2\n", b"version = 2\n# kubenode's\n"
SAYS = f"kubenode-unproven 2\n{sum_of(NEW)} {sum_of(OLD)} .kubenode-backup {MAIN}\nend\n".encode()


def unproven(main: bytes | None, note: bytes | None) -> list[UnprovenShape] | None:
    sent = {path: content for path, content in ((MAIN, main), (NOTE, note)) if content is not None}
    texts = {path: content.decode().splitlines() for path, content in sent.items()}
    reading = Reading(values={"path": MAIN}, texts=texts, exact=sent)
    return parse_daemon(Reading(), reading).unproven


@pytest.mark.parametrize(
    ("main", "now"), [(NEW, "new"), (OLD, "old"), (b"version = 3\n", "edited"), (None, "edited")]
)
def test_a_note_says_what_has_become_of_its_files(main: bytes | None, now: str) -> None:
    assert unproven(main, SAYS) == [{"path": MAIN, "now": now}]


def test_without_a_note_nothing_was_interrupted() -> None:
    assert unproven(NEW, None) == []


@pytest.mark.parametrize("note", [b"", SAYS[:-2], f"{MAIN}\n".encode()])
def test_a_note_that_cannot_be_followed_is_not_no_note(note: bytes) -> None:
    assert unproven(NEW, note) is None


def test_a_note_that_cannot_be_read_is_not_no_note() -> None:
    """It is root's alone."""
    reading = Reading(values={"path": MAIN}, unreadable=frozenset({NOTE}))
    daemon = parse_daemon(Reading(), reading)
    assert daemon.unproven is None
    assert NOTE in daemon.unreadable


@pytest.mark.parametrize(
    ("updates", "status", "at_work", "interrupted"),
    [
        (True, "ii", None, True),
        (False, "iF", None, True),
        (False, "ii", None, False),
        (True, "ii", "812 dpkg", False),
        (False, "iU", "812 dpkg", False),
    ],
)
def test_dpkg_at_work_is_not_interrupted(
    updates: bool, status: str, at_work: str | None, interrupted: bool
) -> None:
    values = {"dpkg_interrupted": "yes"} if updates else {}
    if at_work:
        values["dpkg_at_work"] = at_work
    package = parse_package(
        Reading(values=values, texts={"dpkg": [f"containerd 1.7.24 {status} "]})
    )
    assert (package["dpkg_interrupted"], package["dpkg_at_work"]) == (interrupted, at_work)


SERVER = ["", "  Version:  1.7.24~ds1", "  Revision: 2.1.9"]


@pytest.mark.parametrize(
    ("said", "lines", "replaced", "running"),
    [
        ("yes", SERVER, True, "1.7.24"),
        ("yes", ["ctr: failed to dial"], True, None),
        ("no", [], False, None),
        ("maybe", [], None, None),
        (None, [], None, None),
    ],
)
def test_a_program_that_was_exchanged_after_the_start(
    said: str | None, lines: list[str], replaced: bool | None, running: str | None
) -> None:
    unit = ["LoadState=loaded", "ActiveState=active", "SubState=running"]
    texts = {"unit:containerd.service": unit, "running_version": lines}
    reading = Reading({} if said is None else {"replaced": said}, texts)
    shape = parse_daemon(Reading(), reading).shape
    assert (shape["program_replaced"], shape["running_version"]) == (replaced, running)
