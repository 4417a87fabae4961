"""Kubernetes' RPM repositories around the same stand-ins, see :mod:`tests.repositories.kubernetes`.

They are built and signed on a host of :mod:`tests.targets.rpm_image`, which has rpmbuild and a key,
and served from here: one for each minor release. ``kubelet`` asks for kubernetes-cni alone: the
host's userland is no package of RPM's.

Source: kubernetes/release, cmd/krel/templates/latest (kubelet.spec, kubeadm.spec).
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

from pysequoia import Cert

from tests.repositories import kubernetes
from tests.repositories.kubernetes import Contents
from tests.repositories.server import Server
from tests.targets.container import Target

REVISION = "150500.1.1"

BUILD = """\
set -eu
export GNUPGHOME=/srv/rpm/private
for spec in /srv/rpm/{folder}/*.spec; do
  rpmbuild -bb --quiet "$spec" --define '_topdir /build' --define '_rpmdir /srv/rpm/{folder}' \
    --define '_rpmfilename %{{NVRA}}.rpm' --define '_build_id_links none' \
    --define 'debug_package %{{nil}}' --define '__os_install_post %{{nil}}' \
    --define '_binary_payload w3.zstdio'
done
cd /srv/rpm/{folder}
rm -r *.spec tree-*
rpmsign --define '_gpg_name good@kubenode.test' --addsign *.rpm >/dev/null
createrepo_c --quiet .
gpg --batch --quiet --local-user good@kubenode.test --armor --detach-sign repodata/repomd.xml
"""
"""What makes a repository of the specs in a folder of ``/srv/rpm``, each beside its tree."""


def served(server: Server, target: Target, releases: Iterable[str]) -> dict[str, str]:
    """What ``kubenode_kubernetes_source`` is on the host.

    + server: what serves it
    + target: the host that builds it
    + releases: Kubernetes' versions, one of each minor release
    """
    for release in releases:
        minor = "v" + ".".join(release.split(".")[:2])
        folder = f"kubernetes-{minor}"
        for each in kubernetes.contents(release):
            _put(target, folder, each)
        target.sh(BUILD.format(folder=folder))
        place = server.folder / f"rpm-{target.name}-kubernetes" / minor
        place.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(target.folder(f"/srv/rpm/{folder}"))) as packed:
            packed.extractall(place, filter="data")
        (place / folder).rename(place / "rpm")
    key = target.read("/srv/rpm/good.asc")
    return {
        "url": f"{server.http}/rpm-{target.name}-kubernetes/{{version}}/{{format}}",
        "key": key,
        "fingerprint": Cert.from_bytes(key.encode()).fingerprint.upper(),
    }


def _put(target: Target, folder: str, package: Contents) -> None:
    tree = f"/srv/rpm/{folder}/tree-{package.name}"
    files = dict(package.files)
    if (defaults := files.pop("/etc/default/kubelet", None)) is not None:
        files["/etc/sysconfig/kubelet"] = defaults
    for path, content in files.items():
        assert isinstance(content, str), "only stand-ins are in RPMs"
        target.write(f"{tree}{path}", content)
        target.sh(f"chmod {'755' if '/bin/' in path else '644'} {tree}{path}")
    target.write(f"/srv/rpm/{folder}/{package.name}.spec", _spec(package, tree, list(files)))


def _spec(package: Contents, tree: str, paths: list[str]) -> str:
    listed = "".join(
        f"{'%config(noreplace) ' if path.startswith('/etc/') else ''}{path}\n" for path in paths
    )
    requires = "Requires: kubernetes-cni >= 1.2.0\n" if package.name == "kubelet" else ""
    return (
        f"Name: {package.name}\nVersion: {package.version}\nRelease: {REVISION}\n"
        f"Summary: {package.name}, a stand-in of kubenode's tests\nLicense: none\n"
        f"AutoReqProv: no\n{requires}"
        "%description\nA stand-in of kubenode's tests.\n"
        f"%install\ncp -a {tree}/. %{{buildroot}}/\n%files\n{listed}"
    )
