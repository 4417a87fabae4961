"""How a runtime shall be configured, as far as all runtimes have it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubenode.linux.cgroups import Driver

_WORD = re.compile(r"""[!#-&(-\[\]-~]+""")


@dataclass(frozen=True)
class Wanted:
    """What a node needs of its runtime. ValueError says what is wrong with a setting."""

    cgroup_driver: Driver
    pause_image: str | None = None
    """None leaves what is there."""

    def __post_init__(self) -> None:
        if self.cgroup_driver not in ("systemd", "cgroupfs"):
            raise ValueError(f"cgroup driver {self.cgroup_driver!r}: expected systemd or cgroupfs")
        self.check_words("pause_image")

    def check_words(self, *names: str) -> None:
        """ValueError unless each of these settings is None or one word.

        + names: of the settings
        """
        for name in names:
            value: object = getattr(self, name)
            if value is None or (isinstance(value, str) and _WORD.fullmatch(value)):
                continue
            raise ValueError(f"{name} is one word without blanks or quotes, not {value!r}")
