"""How containerd shall be configured."""

from __future__ import annotations

from dataclasses import dataclass

from kubenode.runtimes.cni import check_directories
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

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_words("snapshotter", "registry_config_path")
        if self.cni_bin_dirs is not None:
            check_directories(self.cni_bin_dirs)
