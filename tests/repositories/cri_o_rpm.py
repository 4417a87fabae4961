"""``cri-o`` as an RPM: the CRI-O project's, and one with the files that openSUSE's has.

Around the same programs as :mod:`tests.repositories.cri_o`, a stand-in or the real ones. They are
built and signed on a host of :mod:`tests.targets.rpm_image`, as Kubernetes' are
(:mod:`tests.repositories.kubernetes_rpm`). conmon, crun and what a stand-in needs are Debian's, and
lie on the host beside all packages of RPM's.

Source: cri-o/packaging, templates/latest/cri-o/cri-o.spec; openSUSE's devel:kubic, cri-o.spec.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pysequoia import Cert

from tests import real_crio
from tests.repositories import cri_o, kubernetes_rpm
from tests.repositories.server import Server
from tests.targets import cri
from tests.targets.container import Target


class Package(NamedTuple):
    """A package to be built.

    + version: upstream's
    + revision: the RPM's own
    + program: another crio than the stand-in or the real one
    """

    version: str
    revision: str = "1.1"
    program: bytes | None = None

    @property
    def minor(self) -> str:
        """The release series, such as ``1.36``."""
        return self.version.rpartition(".")[0]


FILES = {name: text for name, text in cri_o.FILES.items() if name != "etc/default/crio"}
"""The project's RPM has no file of options."""
_CONFIGS = (
    "etc/containers/registries.conf.d/crio.conf",
    "etc/crictl.yaml",
    "etc/cni/net.d/10-crio-bridge.conflist.disabled",
)
OPENSUSE_FILES = {
    "etc/crio/crio.conf.d/00-default.conf": cri_o.DROP_IN.replace("/etc/crio/", "/etc/containers/"),
    "etc/containers/policy.json": cri_o.FILES["etc/crio/policy.json"],
    "etc/crictl.yaml": cri_o.FILES["etc/crictl.yaml"],
    "usr/lib/systemd/system/crio.service": cri_o.UNIT.replace("/etc/default/", "/etc/sysconfig/"),
}
"""The files of openSUSE's own; its settings are the administrator's, and no upgrade's."""
_OPENSUSE_CONFIGS = (
    "etc/crio/crio.conf.d/00-default.conf",
    "etc/containers/policy.json",
    "etc/crictl.yaml",
)

# apt and dpkg come back for a moment
_USERLAND = """\
set -eu
ln -s /opt/debian/etc-apt /etc/apt; ln -s /opt/debian/dpkg /var/lib/dpkg
PATH=/opt/debian/bin:$PATH
mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
apt-get -qq update
apt-get -qq install -y --download-only --no-install-recommends {names}
for deb in /var/cache/apt/archives/*.deb; do dpkg-deb --extract "$deb" /; done
rm -r /etc/apt /var/lib/dpkg /var/lib/apt /var/cache/apt
ln -sf iptables-nft /usr/sbin/iptables
ldconfig
"""

# what the macros for systemd's units come to
_SPEC = """\
Name: cri-o
Version: {version}
Release: {revision}
Summary: Open Container Initiative-based implementation of Kubernetes Container Runtime Interface
License: Apache-2.0
AutoReqProv: no
Requires: runc

%description
Made by the tests of kubenode.

%install
cp -a {tree}/. %{{buildroot}}/

%post
if [ $1 -eq 1 ]; then systemctl --no-reload preset crio.service || :; fi

%preun
if [ $1 -eq 0 ]; then systemctl --no-reload disable --now crio.service || :; fi

%postun
systemctl daemon-reload || :
if [ $1 -ge 1 ]; then systemctl try-restart crio.service || :; fi

%files
{files}
"""


def prepare(target: Target) -> None:
    """Give a host what the programs of the packages run by.

    + target: of :mod:`tests.targets.rpm_image`
    """
    names = [name for name in cri_o.NEEDS if name != "runc"]
    target.sh(_USERLAND.format(names=" ".join([*names, *cri_o.STAND_IN_NEEDS])))


def served(server: Server, target: Target, packages: Iterable[Package]) -> dict[str, str]:
    """What ``kubenode_crio_source`` is on the host: a repository for each minor release.

    + server: what serves them
    + target: the host that builds them
    + packages: those of them all
    """
    place = server.folder / f"rpm-{target.name}-cri-o"
    by_minor: dict[str, list[Package]] = {}
    for package in packages:
        by_minor.setdefault(package.minor, []).append(package)
    for minor, each in by_minor.items():
        folder = f"cri-o-{minor}"
        _build(target, folder, each, FILES, _CONFIGS)
        target.sh(kubernetes_rpm.BUILD.format(folder=folder))
        (place / f"v{minor}").mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(target.folder(f"/srv/rpm/{folder}"))) as packed:
            packed.extractall(place / f"v{minor}", filter="data")
        (place / f"v{minor}" / folder).rename(place / f"v{minor}" / "rpm")
    key = target.read("/srv/rpm/good.asc")
    return {
        "url": f"{server.http}/{place.name}/v{{minor}}/{{format}}",
        "key": key,
        "fingerprint": Cert.from_bytes(key.encode()).fingerprint.upper(),
    }


def into_distribution(target: Target, packages: Sequence[Package]) -> None:
    """Put packages with openSUSE's files into the repository that the host has.

    + target: the host that builds them
    + packages: those
    """
    _build(target, "opensuse", packages, OPENSUSE_FILES, _OPENSUSE_CONFIGS)
    target.sh(kubernetes_rpm.BUILD.format(folder="opensuse"))
    # a folder of the image cannot be renamed, which is how createrepo_c replaces it
    target.sh(
        "mv /srv/rpm/opensuse/*.rpm /srv/rpm/distribution/ && cd /srv/rpm/distribution && "
        "rm -rf repodata && createrepo_c --quiet . && "
        "GNUPGHOME=/srv/rpm/private gpg --batch --quiet --local-user good@kubenode.test --armor "
        "--detach-sign repodata/repomd.xml"
    )


def _build(
    target: Target,
    folder: str,
    packages: Iterable[Package],
    files: dict[str, str],
    configs: Sequence[str],
) -> None:
    for package in packages:
        name = f"{package.version}-{package.revision}"
        tree = f"/srv/rpm/{folder}/tree-{name}"
        with tempfile.TemporaryDirectory() as work:
            root = Path(work, "root")
            _lay_out(root, package, files)
            paths = sorted(
                str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()
            )
            target.sh(f"mkdir -p /srv/rpm/{folder}")
            target.put(root, tree)
        listed = "\n".join(
            f"{'%config(noreplace) ' if path in configs else ''}/{path}" for path in paths
        )
        spec = _SPEC.format(
            version=package.version, revision=package.revision, tree=tree, files=listed
        )
        target.write(f"/srv/rpm/{folder}/cri-o-{name}.spec", spec)


def _lay_out(root: Path, package: Package, files: dict[str, str]) -> None:
    contents = {name: text.encode() for name, text in files.items()}
    own = "usr/libexec/crio"
    contents |= {
        f"{own}/crun": cri_o.wrapper("/usr/bin/crun"),
        f"{own}/runc": cri_o.wrapper("/usr/sbin/runc"),
        "usr/bin/pinns": b"#!/bin/sh\n",
    }
    programs = None if package.program else real_crio.programs(package.version)
    if programs is None:
        contents["usr/bin/crio"] = package.program or cri_o.stand_in(package.version)
        contents[cri_o.MESSAGES.lstrip("/")] = cri.descriptors()
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if content.startswith(b"#!") else 0o644)
    if programs is not None:
        for name in ("crio", "pinns"):
            shutil.copy2(programs / name, root / "usr/bin" / name)
    os.symlink("/usr/bin/conmon", root / own / "conmon")
