"""``cri-o`` as the CRI-O project packages it, around a stand-in or around the real program.

It has the relations, the paths, the files and the scripts of the original; its upgrade restarts the
daemon and overwrites ``10-crio.conf``. The program is :mod:`tests.repositories.crio_stand_in`, or
the real one where :mod:`tests.real_crio` finds it. conmon, crun and runc are Debian's, as packages
that it depends on: the original has its own, static, below ``/usr/libexec/crio``.

Source: cri-o/packaging, templates/latest/cri-o.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests import real_crio
from tests.repositories import binaries
from tests.repositories.releases import Release, pack
from tests.targets import cri

OLD, NEW = "1.35.6", "1.36.3"
"""Two releases of different minors."""

DROP_IN = """\
[crio.image]
signature_policy = "/etc/crio/policy.json"

[crio.runtime]
default_runtime = "crun"

[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_root = "/run/crun"
monitor_path = "/usr/libexec/crio/conmon"
allowed_annotations = [
    "io.containers.trace-syscall",
]

[crio.runtime.runtimes.runc]
runtime_path = "/usr/libexec/crio/runc"
runtime_root = "/run/runc"
monitor_path = "/usr/libexec/crio/conmon"
"""
BRIDGE = """\
{
  "cniVersion": "1.0.0",
  "name": "crio",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": true,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "routes": [{ "dst": "0.0.0.0/0" }],
        "ranges": [[{ "subnet": "10.85.0.0/16" }]]
      }
    }
  ]
}
"""
UNIT = """\
[Unit]
Description=Container Runtime Interface for OCI (CRI-O)
Documentation=https://github.com/cri-o/cri-o
Wants=network-online.target
Before=kubelet.service
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/crio
Environment=GOTRACEBACK=crash
ExecStart=/usr/bin/crio \\
          $CRIO_CONFIG_OPTIONS \\
          $CRIO_RUNTIME_OPTIONS \\
          $CRIO_STORAGE_OPTIONS \\
          $CRIO_NETWORK_OPTIONS \\
          $CRIO_METRICS_OPTIONS
ExecReload=/bin/kill -s HUP $MAINPID
TasksMax=infinity
LimitNOFILE=1048576
LimitNPROC=1048576
LimitCORE=infinity
OOMScoreAdjust=-999
TimeoutStartSec=0
Restart=on-failure
RestartSec=10

[Install]
WantedBy=multi-user.target
Alias=cri-o.service
"""
FILES = {
    "etc/crio/crio.conf.d/10-crio.conf": DROP_IN,
    "etc/crio/policy.json": '{ "default": [{ "type": "insecureAcceptAnything" }] }\n',
    "etc/containers/registries.conf.d/crio.conf": 'unqualified-search-registries = ["docker.io"]\n',
    "etc/cni/net.d/10-crio-bridge.conflist.disabled": BRIDGE,
    "etc/crictl.yaml": (
        "runtime-endpoint: unix:///var/run/crio/crio.sock\n"
        "image-endpoint: unix:///var/run/crio/crio.sock\n"
    ),
    "etc/default/crio": "# Options of CRI-O's command line.\n",
    "usr/lib/systemd/system/crio.service": UNIT,
}
_CONFFILES = (
    "etc/containers/registries.conf.d/crio.conf",
    "etc/crictl.yaml",
    "etc/default/crio",
    "etc/cni/net.d/10-crio-bridge.conflist.disabled",
)

# No part of the original. A Docker target cannot apply all of a container's config, see
# tests/targets/rootfs/usr/sbin/runc, which does the same for runc. CRI-O writes it on many lines.
_WRAPPER = """\
#!/bin/sh
bundle=. previous= creates=
for argument in "$@"; do
  case $previous in --bundle | -b) bundle=$argument ;; esac
  case $argument in --bundle=*) bundle=${argument#*=} ;; create | run) creates=yes ;; esac
  previous=$argument
done
config=$bundle/config.json
if [ -n "$creates" ] && [ -f "$config" ]; then
  tr -d '\\n\\t' <"$config" >"$config.line"
  capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
  if [ $((0x$capabilities >> 24 & 1)) -eq 0 ]; then
    sed -i 's/"oomScoreAdj": *-\\{0,1\\}[0-9]*/"oomScoreAdj":0/' "$config.line"
  fi
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    for controller in cpu memory; do
      grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers ||
        sed -i "s/\\"$controller\\": *{[^}]*}/\\"$controller\\":{}/" "$config.line"
    done
  fi
  cat "$config.line" >"$config"
fi
exec @PROGRAM@ "$@"
"""

_POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if deb-systemd-helper --quiet was-enabled crio.service; then
    deb-systemd-helper enable crio.service >/dev/null || true
  else
    deb-systemd-helper update-state crio.service >/dev/null || true
  fi
  if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
    [ -z "$2" ] || deb-systemd-invoke try-restart crio.service >/dev/null || true
  fi
fi
"""
_PRERM = """\
#!/bin/sh
set -e
if [ -d /run/systemd/system ] && [ "$1" = remove ]; then
  deb-systemd-invoke stop crio.service >/dev/null || true
fi
"""
_POSTRM = """\
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = purge ] && [ -x /usr/bin/deb-systemd-helper ]; then
  deb-systemd-helper purge crio.service >/dev/null || true
fi
"""


def is_stand_in(version: str) -> bool:
    """Whether a version's package has a stand-in for its program."""
    return real_crio.programs(version) is None


def built(version: str) -> Path:
    """A ``.deb`` of cri-o, built once a checkout.

    + version: upstream's, such as :data:`NEW`
    """
    programs = real_crio.programs(version)
    seed = f"{version}\0{programs}\0".encode() + Path(__file__).read_bytes()
    if programs is None:
        seed += _stand_in()
    folder = binaries.CACHE / "cri-o" / hashlib.sha256(seed).hexdigest()[:12]
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    deb = folder / f"cri-o_{version}-1.1_{architecture}.deb"
    if not deb.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            _build(Path(work), version, programs, architecture)
            os.replace(Path(work, "built.deb"), deb)
    return deb


NEEDS = ("conmon", "crun", "iptables", "runc")
"""What a bundle's programs run by on a target: see :data:`_WRAPPER`."""
STAND_IN_NEEDS = ("python3-grpcio", "python3-protobuf")


def needs(version: str) -> tuple[str, ...]:
    """Packages that a host needs for a bundle; the original needs none.

    + version: of :func:`bundle`
    """
    return (*NEEDS, *(STAND_IN_NEEDS if is_stand_in(version) else ()))


MESSAGES = "/usr/libexec/crio/cri.binpb"
"""What a package's stand-in knows the CRI by; the descriptors of :mod:`tests.targets.cri`."""


def messages() -> tuple[str, bytes]:
    """Path on a host and content of what a bundle's stand-in knows the CRI by; a package has its
    own, which goes with it."""
    return "/usr/local/share/cri-o/cri.binpb", cri.descriptors()


def bundle(version: str, folder: Path, program: bytes | None = None) -> Release:
    """An archive as upstream has it, with the programs in ``cri-o/bin``.

    + version: upstream's
    + folder: where it is put
    + program: another crio than the stand-in or the real one
    """
    programs = None if program else real_crio.programs(version)
    own = stand_in(version).replace(MESSAGES.encode(), messages()[0].encode())
    files = {
        "crio": program or (own if programs is None else (programs / "crio").read_bytes()),
        "pinns": b"#!/bin/sh\n" if programs is None else (programs / "pinns").read_bytes(),
        "conmon": b'#!/bin/sh\nexec /usr/bin/conmon "$@"\n',
        "crun": wrapper("/usr/bin/crun"),
        "runc": wrapper("/usr/sbin/runc"),
        "crictl": b"#!/bin/sh\n",
    }
    path = folder / f"cri-o.amd64.v{version}.tar.gz"
    packed = {f"cri-o/bin/{name}": content for name, content in files.items()}
    others = {"cri-o/install": b"#!/bin/sh\n", "cri-o/contrib/crio.service": b"[Unit]\n"}
    pack(path, {**packed, **others})
    return Release(version, path)


def stand_in(version: str) -> bytes:
    """The stand-in for crio, of a version."""
    return _stand_in().replace(b"@VERSION@", version.encode())


def wrapper(program: str) -> bytes:
    """What stands before a low-level runtime on a target.

    + program: its path
    """
    return _WRAPPER.replace("@PROGRAM@", program).encode()


def _stand_in() -> bytes:
    return Path(__file__).with_name("crio_stand_in.py").read_bytes()


def _build(work: Path, version: str, programs: Path | None, architecture: str) -> None:
    root = work / "root"
    for name, text in FILES.items():
        _write(root / name, text.encode())
    own = root / "usr/libexec/crio"
    for name, program in {"crun": "/usr/bin/crun", "runc": "/usr/sbin/runc"}.items():
        _write(own / name, wrapper(program), 0o755)
    (own / "conmon").symlink_to("/usr/bin/conmon")
    depends = ["conmon", "crun", "iptables", "runc"]
    (root / "usr/bin").mkdir(parents=True)
    if programs is None:
        depends += ["python3-grpcio", "python3-protobuf"]
        _write(root / MESSAGES[1:], cri.descriptors())
        _write(root / "usr/bin/crio", stand_in(version), 0o755)
        _write(root / "usr/bin/pinns", b"#!/bin/sh\n", 0o755)
    else:
        for name in ("crio", "pinns"):
            shutil.copy2(programs / name, root / "usr/bin" / name)
    control = root / "DEBIAN"
    _write(
        control / "control",
        (
            f"Package: cri-o\nVersion: {version}-1.1\nArchitecture: {architecture}\n"
            f"Depends: {', '.join(depends)}\nRecommends: kubernetes-cni\n"
            "Section: admin\nPriority: optional\nMaintainer: kubenode's tests <test@example.org>\n"
            "Description: Open Container Initiative-based implementation of Kubernetes Container\n"
            " Runtime Interface\n"
        ).encode(),
    )
    _write(control / "conffiles", "".join(f"/{name}\n" for name in _CONFFILES).encode())
    for name, text in {"postinst": _POSTINST, "prerm": _PRERM, "postrm": _POSTRM}.items():
        _write(control / name, text.encode(), 0o755)
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", str(root), f"{work}/built.deb"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
