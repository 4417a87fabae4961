"""How Docker Engine and cri-dockerd shall be configured."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from kubenode.runtimes.wanted import Wanted

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:/-]{0,127}")
_MIRROR = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._/~-]*)?")


@dataclass(frozen=True)
class DockerWanted(Wanted):
    """What a node needs of its Docker Engine; None leaves what is there. ValueError says what is
    wrong with a setting."""

    live_restore: bool | None = None
    log_driver: str | None = None
    log_opts: dict[str, str] | None = field(default=None, hash=False)
    storage_driver: str | None = None
    registry_mirrors: tuple[str, ...] | None = None
    cni_bin_dirs: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.live_restore not in (True, False, None):
            raise ValueError(f"live_restore is true, false or None, not {self.live_restore!r}")
        for name in ("log_driver", "storage_driver"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and _WORD.fullmatch(value)):
                raise ValueError(f"{name} is a name such as json-file or overlay2, not {value!r}")
        options = self.log_opts
        if options is not None and not (
            isinstance(options, dict)
            and all(isinstance(each, str) for pair in options.items() for each in pair)
        ):
            # dockerd refuses a number: "cannot unmarshal number into ... of type string"
            raise ValueError(f"log_opts is a dict of texts, not {options!r}")
        for mirror in self.registry_mirrors or ():
            if not isinstance(mirror, str) or not _MIRROR.fullmatch(mirror):
                raise ValueError(f"registry_mirrors: {mirror!r} is no http or https URL")

    @property
    def keys(self) -> dict[str, Any]:
        """What daemon.json has to say, but for the cgroup driver."""
        keys: dict[str, Any] = {
            "live-restore": self.live_restore,
            "log-driver": self.log_driver,
            "log-opts": self.log_opts,
            "storage-driver": self.storage_driver,
            "registry-mirrors": None
            if self.registry_mirrors is None
            else list(self.registry_mirrors),
        }
        return {key: value for key, value in keys.items() if value is not None}
