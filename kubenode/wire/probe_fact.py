"""A fact whose remote command is one or more probes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from kubenode.run import terminal_guard
from kubenode.wire import probe, size_limits
from kubenode.wire.bounded import Asked
from kubenode.wire.reading import ProbeError, Readings, read_answer

terminal_guard.install()

T = TypeVar("T")


class ProbeFact(FactBase[T], Generic[T]):
    """
    A fact that reads a host through :mod:`kubenode.wire.probe`.

    A subclass writes ``command()`` with :meth:`asking` and ``parse()``. The fact's
    value is None when the host did not answer: None means unknown, never absent.
    """

    abstract = True

    scripts: Mapping[str, probe.Script] = MappingProxyType({})
    """By probe name, what ``command()`` asks the host for."""

    _mistake: str | None = None

    def asking(self, scripts: Mapping[str, probe.Script]) -> str:
        """The command for ``command()`` to return.

        + scripts: by probe name
        """
        self.scripts = scripts
        return Asked(probe.command(scripts))

    def refused(self, mistake: str) -> str:
        """A command for ``command()`` to return when the fact's own arguments are wrong.

        + mistake: what is wrong and what was expected

        An exception there would come out as a traceback for each host; so the host is asked for
        nothing, and the fact fails with the mistake.
        """
        self._mistake = mistake
        return Asked("echo")

    def parse(self, readings: Readings) -> T:
        """The fact's value from the readings, by probe name."""
        raise NotImplementedError

    def process(self, output: list[str]) -> T:
        if self._mistake is not None:
            raise FactProcessError(self._mistake)
        try:
            return self.parse(read_answer(output, self.scripts).each(size_limits.within))
        except ProbeError as error:
            raise FactProcessError(str(error)) from error
        # Any other exception than FactProcessError would end the run for the whole fleet.
        except Exception as error:
            raise FactProcessError(
                f"the host's answer is out of form: {type(error).__name__}: {str(error)[:200]}"
            ) from error
