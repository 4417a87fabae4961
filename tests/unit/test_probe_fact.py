"""A fact of a probe fails alone: any other exception would end the run for the whole fleet."""

from __future__ import annotations

import pytest
from pyinfra.api.exceptions import FactProcessError

from kubenode.wire import probe
from kubenode.wire.probe_fact import ProbeFact
from kubenode.wire.reading import ProbeError, Readings
from tests.sealed import seal


class Fact(ProbeFact[str]):
    abstract = True
    error: Exception | None = None

    def command(self) -> str:
        return self.asking({"p": probe.Script()})

    def parse(self, readings: Readings) -> str:
        if self.error:
            raise self.error
        return readings["p"].values["k"]


def answered(*lines: str) -> str:
    fact = Fact()
    fact.command()
    return fact.process(seal(fact.scripts, ["%begin shared", "%end shared", *lines]))


def test_a_value() -> None:
    assert answered("%begin p", "%value k v", "%end p") == "v"


def test_a_missing_probe_is_named() -> None:
    with pytest.raises(FactProcessError, match="p: the host's answer is cut off"):
        answered("%begin p")


def test_a_missing_key_is_no_missing_probe() -> None:
    with pytest.raises(FactProcessError, match="out of form: KeyError: 'k'"):
        answered("%begin p", "%end p")


@pytest.mark.parametrize(
    "error",
    [
        RecursionError("deep"), KeyError("x"), IndexError("x"), AttributeError("x"),
        ValueError("x"), TypeError("x"), AssertionError(), ProbeError("x"),
    ],
)  # fmt: skip
def test_any_error_fails_the_fact_only(error: Exception) -> None:
    fact = Fact()
    fact.error = error
    fact.command()
    with pytest.raises(FactProcessError):
        fact.process(seal(fact.scripts, ["%begin shared", "%end shared"]))
