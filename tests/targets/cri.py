"""A CRI client on this machine for the runtime in a target: what kubelet would ask, no more.

Over the runtime's socket, as seen through ``/proc/PID/root``: nothing is installed in the target.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

# Its handlers around fork(2) break processes that are started while a connection is open.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PROTO = Path(__file__).with_name("cri.proto")
_ANSWER_SECONDS = 20
# unpacking the pause image, and a shim's start, on a busy machine
_POD_SECONDS = 120

_UNCONFINED = {
    "seccomp": {"profile_type": "Unconfined"},
    "apparmor": {"profile_type": "Unconfined"},
}


class CriError(AssertionError):
    """The runtime refused a call, or does not answer."""


@dataclass(frozen=True)
class Pod:
    """A pod sandbox that runs."""

    id: str
    """Also the id of its pause container."""
    cgroup: str
    """The cgroup its pause process is in, as the host sees it, such as
    ``/kubepods.slice/cri-containerd-<id>.scope``."""
    config: Mapping[str, Any]
    """What the runtime was asked for."""


@dataclass(frozen=True)
class Container:
    """A container that runs in a pod."""

    id: str
    cgroup: str
    """The cgroup its process is in, as the host sees it."""


class Cri:
    """A client of one runtime; also a context manager that closes its connection.

    + socket: path of the runtime's socket on this machine
    + cgroup_of: the text of ``/proc/PID/cgroup`` for a PID of the host the runtime is on
    + pid_of: the PID of a pod's pause process by its id; None: the runtime's status has it
    """

    def __init__(
        self,
        socket: Path,
        cgroup_of: Callable[[int], str],
        pid_of: Callable[[str], int] | None = None,
    ) -> None:
        # the name sent by default is the socket's path, which is no valid HTTP/2 authority
        self._channel = grpc.insecure_channel(
            f"unix://{socket}", options=[("grpc.default_authority", "localhost")]
        )
        self._cgroup_of = cgroup_of
        self._pid_of = pid_of or self._pid_in_status

    def __enter__(self) -> Cri:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def version(self) -> str:
        """The runtime's release, such as ``1.7.24~ds1``."""
        return str(self._call("Version").runtime_version)

    def conditions(self) -> dict[str, bool]:
        """The runtime's conditions by type, such as ``RuntimeReady``."""
        conditions = self._call("Status").status.conditions
        return {condition.type: condition.status for condition in conditions}

    def config(self) -> dict[str, Any]:
        """The CRI plugin's effective configuration, in the plugin's own shape."""
        config: dict[str, Any] = json.loads(self._call("Status", verbose=True).info["config"])
        return config

    def systemd_cgroup(self) -> dict[str, bool]:
        """The effective ``SystemdCgroup`` of each runc-type runtime handler."""
        runtimes = self.config()["containerd"]["runtimes"]
        return {
            handler: bool((runtime["options"] or {}).get("SystemdCgroup"))
            for handler, runtime in runtimes.items()
            if runtime["runtimeType"] == "io.containerd.runc.v2"
        }

    def runtime_config_driver(self) -> str | None:
        """The driver that kubelet is told (``systemd``, ``cgroupfs``); None for containerd 1.x,
        which does not know the call."""
        try:
            answer = self._call("RuntimeConfig")
        except CriError as error:
            cause = error.__cause__
            if isinstance(cause, grpc.RpcError) and cause.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise
        return "cgroupfs" if answer.linux.cgroup_driver else "systemd"

    def pause_image(self) -> str | None:
        """The effective pause image; None for containerd 2.x, whose status does not say it."""
        return self.config().get("sandboxImage")

    def pull(self, image: str) -> str:
        """Pull an image, as kubelet would; its reference."""
        return str(self._call("PullImage", image={"image": image}).image_ref)

    def remove_image(self, image: str) -> None:
        """Remove an image, if it is there."""
        self._call("RemoveImage", image={"image": image})

    @contextmanager
    def pod(self, cgroup_parent: str = "/kubepods.slice", network: str = "NODE") -> Iterator[Pod]:
        """Run a pod, and remove it again.

        + cgroup_parent: the cgroup that kubelet would ask for
        + network: ``NODE`` for the host's, ``POD`` for one of its own, made by CNI
        """
        pod = self.run_pod(cgroup_parent, network)
        try:
            yield pod
        finally:
            self.remove_pod(pod.id)

    def run_pod(
        self,
        cgroup_parent: str = "/kubepods.slice",
        network: str = "NODE",
        handler: str = "",
    ) -> Pod:
        """Run a pod as :meth:`pod` does, and leave it: see :meth:`remove_pod`.

        + handler: the runtime handler that its RuntimeClass would name; empty for the default
        """
        config = {
            "metadata": {"name": "probe", "uid": uuid.uuid4().hex, "namespace": "default"},
            "linux": {
                "cgroup_parent": cgroup_parent,
                "security_context": {
                    "namespace_options": {"network": network},
                    **_UNCONFINED,
                },
            },
        }
        pod_id = str(
            self._call("RunPodSandbox", config=config, runtime_handler=handler).pod_sandbox_id
        )
        try:
            cgroup = _cgroup_path(self._cgroup_of(self._pid_of(pod_id)))
            return Pod(pod_id, cgroup, config)
        except BaseException:
            self.remove_pod(pod_id)
            raise

    def _pid_in_status(self, pod_id: str) -> int:
        status = self._call("PodSandboxStatus", pod_sandbox_id=pod_id, verbose=True)
        return int(json.loads(status.info["info"])["pid"])

    def is_ready(self, pod: Pod) -> bool:
        """Whether the runtime says that a pod runs."""
        status = self._call("PodSandboxStatus", pod_sandbox_id=pod.id).status
        # SANDBOX_READY
        return bool(status.id == pod.id and status.state == 0)

    def run_container(self, pod: Pod, image: str, memory_limit: int) -> Container:
        """Run a container in a pod; it goes with the pod.

        + image: one that the runtime has
        + memory_limit: in bytes
        """
        config = {
            "metadata": {"name": "probe"},
            # CRI-O checks the signature of what the user has asked for
            "image": {"image": image, "user_specified_image": image},
            "linux": {
                "resources": {"memory_limit_in_bytes": memory_limit},
                "security_context": pod.config["linux"]["security_context"],
            },
        }
        created = self._call(
            "CreateContainer", pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config
        )
        container_id = str(created.container_id)
        self._call("StartContainer", container_id=container_id)
        status = self._call("ContainerStatus", container_id=container_id, verbose=True)
        pid = int(json.loads(status.info["info"])["pid"])
        return Container(container_id, _cgroup_path(self._cgroup_of(pid)))

    def remove_pod(self, pod_id: str) -> None:
        """Stop and remove a pod, its containers too."""
        self._call("StopPodSandbox", pod_sandbox_id=pod_id)
        self._call("RemovePodSandbox", pod_sandbox_id=pod_id)

    def _call(self, method: str, **fields: Any) -> Any:
        messages = _messages()
        request = messages[f"runtime.v1.{method}Request"](**fields)
        call = self._channel.unary_unary(
            f"/runtime.v1.{'Image' if method.endswith('Image') else 'Runtime'}Service/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages[f"runtime.v1.{method}Response"].FromString,
        )
        slow = method.endswith(("PodSandbox", "Container"))
        seconds = _POD_SECONDS if slow else _ANSWER_SECONDS
        try:
            # a runtime that has just been started is a little later with its socket
            return call(request, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            raise CriError(f"{method}: {error.code().name}: {error.details()}") from error


def _cgroup_path(text: str) -> str:
    """The path in cgroups(7)' ``/proc/PID/cgroup``: v2's, or that of systemd's v1 hierarchy."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path
    # each hierarchy is listed, and the ones that the runtime does not use say "/"
    unified = paths.get("", "/")
    return unified if unified != "/" else paths.get("name=systemd", "/")


def descriptors() -> bytes:
    """:file:`cri.proto` compiled: a serialized ``FileDescriptorSet``."""
    with tempfile.TemporaryDirectory(prefix="kubenode-cri-") as folder:
        output = Path(folder, "cri.binpb")
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--proto_path={_PROTO.parent}",
                f"--descriptor_set_out={output}",
                _PROTO.name,
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return output.read_bytes()


@functools.cache
def _messages() -> Mapping[str, Any]:
    """The message classes of :file:`cri.proto`, by full name."""
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClassesForFiles([_PROTO.name], pool)
