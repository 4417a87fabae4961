"""How containerd shall be configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubenode.files.toml_text import Path
from kubenode.runtimes.cni import check_directories
from kubenode.runtimes.containerd import fragment, handler_wishes
from kubenode.runtimes.wanted import Wanted


@dataclass(frozen=True)
class ContainerdWanted(Wanted):
    """What a node needs of containerd. None leaves what is there.

    **Example:**

    .. code:: python

        ContainerdWanted("systemd", pause_image="registry.k8s.io/pause:3.10")
    """

    snapshotter: str | None = None
    registry_config_path: str | None = None
    """Directory of registry ``hosts.toml`` files."""
    cni_bin_dirs: tuple[str, ...] | None = None
    """Directories of CNI plugins, the most important first."""
    handlers: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """Runtime handlers by name; None removes one. Those that are not named stay."""
    default_handler: str | None = None
    """The handler of pods that ask for none."""
    fragment: str | Mapping[str, Any] | None = None
    """Settings as TOML, or as a dict of the same."""

    @property
    def handler_values(self) -> dict[Path, Any]:
        """Those of handlers, by their place in version 2; None removes what is there."""
        return handler_wishes.values_of(self.handlers, self.default_handler)

    @property
    def fragment_values(self) -> dict[Path, Any]:
        """Those of the fragment, by their place in version 2; None removes what is there."""
        return {} if self.fragment is None else fragment.values_of(self.fragment)

    def __post_init__(self) -> None:
        super().__post_init__()
        handler_wishes.check_handlers(self.handlers)
        if self.default_handler is not None:
            handler_wishes.check_name(self.default_handler)
            if self.default_handler in self.handlers and not self.handlers[self.default_handler]:
                raise ValueError(f"default_handler {self.default_handler} is removed by handlers")
        problem = handler_wishes.wrong_driver(self.handlers, self.cgroup_driver == "systemd")
        if problem:
            raise ValueError(problem)
        _ = self.fragment_values
        self.check_words("snapshotter", "registry_config_path")
        if self.cni_bin_dirs is not None:
            check_directories(self.cni_bin_dirs)
