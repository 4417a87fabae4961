"""containerd of a release archive, by the parts that an operation is made of.

``host.data.archive`` states the release, or is None to leave archives; ``host.data.fetch`` says who
fetches. With ``host.data.plugins`` it is the CNI plugins instead.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pyinfra import host
from pyinfra.api import operation

from kubenode.facts.archives import Archives
from kubenode.facts.containerd import Containerd
from kubenode.operations import cni
from kubenode.packages import archive
from kubenode.packages.archive_cache import FetchError
from kubenode.packages.archive_transfer import FetchedBy, brought
from kubenode.run.pyinfra_internals import is_executing
from kubenode.run.telling import explain, refuse
from kubenode.runtimes import program_change
from kubenode.runtimes.archive_program import of_archive
from kubenode.runtimes.containerd import proof
from kubenode.wire.bounded import INSTALL_SECONDS, bounded


@operation()
@bounded(INSTALL_SECONDS)
def from_archive(stated: Any, fetch: FetchedBy) -> Generator[Any, Any, None]:
    now, daemon = host.get_fact(Archives), host.get_fact(Containerd)
    if now is None or daemon is None or now["builds"] is None:
        yield refuse(host, "cannot tell what is there")
        return
    build = None
    if stated is not None:
        build = archive.build(archive.containerd_archive(stated), now["architecture"])
        if problem := archive.unsuitable(build, now["libc"], now["libc_version"]):
            yield refuse(host, problem)
            return
    whole = {each["name"] for each in now["builds"] if each["whole"]}
    name = None if build is None else build.name
    if now["current"] == name and (name is None or name in whole):
        host.noop(f"containerd is of the archive {name}")
        return
    version = daemon["installed"]["version"]
    program = of_archive(build, now["current"], version)
    explain(host, program.explained)
    if build is not None and name not in whole:
        try:
            yield from brought(build.files, fetch, is_executing(host))
        except FetchError as error:
            yield refuse(host, str(error))
            return
    unit = daemon["unit"]
    yield program_change.change(
        program,
        {},
        "/etc/containerd/config.toml",
        proof.daemon("containerd", daemon["socket"]),
        program_change.Service(
            is_enabled=unit is not None and unit["enabled"] == "enabled",
            is_active=unit is not None and unit["active"] == "active",
            serves=daemon["cri"] == "serving",
        ),
    )


if host.data.get("plugins"):
    cni.plugins(
        name="CNI plugins",
        source=host.data.get("plugins"),
        fetched_by=host.data.get("fetch"),
        directory=host.data.get("directory"),
    )
else:
    from_archive(
        name="containerd of an archive",
        stated=host.data.get("archive"),
        fetch=host.data.get("fetch"),
    )
