"""CNI on a host, for the facts of runtimes: plugins there are, and the network's configuration."""

from __future__ import annotations

from kubenode.facts.runtime import CniShape
from kubenode.run import host_script
from kubenode.runtimes import cni
from kubenode.wire.reading import Reading

SCRIPT = host_script.read(
    __file__, "cni_found.sh", CNI_UPSTREAM=cni.UPSTREAM, CNI_DEBIAN=cni.DEBIAN
)
"""Part of a probe's shell, behind what sets ``$cni_dirs`` and ``$cni_conf``."""


def parse(
    reading: Reading, bin_dirs: list[str] | None, conf_dir: str | None, has_loopback: bool = True
) -> CniShape:
    """The shape from what the host sent to :data:`SCRIPT`.

    + reading: of the probe
    + bin_dirs: where the runtime looks for plugins; None: it does not say
    + conf_dir: where it looks for the network's configuration
    + has_loopback: whether the runtime needs no loopback plugin
    """
    path = reading.value("cni_conf")
    shape: CniShape = {
        "bin_dirs": bin_dirs,
        "conf_dir": conf_dir,
        "config": path,
        "error": None,
        "plugins": [],
        "found": {
            key.removeprefix("cni:"): [name for name in reading.text(key) if name][:200]
            for key in sorted(reading.texts)
            if key.startswith("cni:/")
        },
    }
    closed = [name for name in shape["bin_dirs"] or () if f"cni:{name}" in reading.unreadable]
    if "cni_conf" in reading.unreadable or path in reading.unreadable:
        closed.append(path or str(shape["conf_dir"]))
    if closed:
        shape["error"] = f"{', '.join(closed)}: cannot be read"
    elif path is not None:
        content = reading.exact.get(path, b"").decode("utf-8", "replace")
        try:
            shape["plugins"] = cni.plugins_of(content)
            if not has_loopback:
                shape["plugins"] = list(dict.fromkeys([*shape["plugins"], "loopback"]))
        except ValueError as error:
            shape["error"] = f"{path} {error}"
    return shape
