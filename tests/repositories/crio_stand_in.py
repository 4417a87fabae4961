#!/usr/bin/python3
# mypy: ignore-errors
# It runs on a target, with what its Python has.
"""A stand-in for CRI-O in targets, where the program itself is not to be had.

It behaves as CRI-O 1.36 does at its edges, and was compared with it: which files it reads and how
it merges them, what it refuses and in which words, ``crio config`` and ``crio status``, what a
SIGHUP reloads and what it only pretends to, CRI on its socket beside ``/config`` and ``/info``,
and where the configured driver puts containers. A container is a process that sleeps: it has no
image, no namespaces and no limits. Where it differs from CRI-O in a test, the stand-in is wrong.

Sources: CRI-O's cmd/crio, pkg/config, internal/config/cgmgr, server.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import uuid
from concurrent import futures
from http.client import HTTPConnection
from pathlib import Path

VERSION = "@VERSION@"
MAIN, DROP_INS = "/etc/crio/crio.conf", "/etc/crio/crio.conf.d"
SOCKET, GRPC_SOCKET = "/var/run/crio/crio.sock", "/var/run/crio/.stand-in.sock"
VERSION_FILE, STATE = Path("/var/run/crio/version"), Path("/var/run/crio/.stand-in.json")
DESCRIPTORS = "/usr/libexec/crio/cri.binpb"
CGROUPS = Path("/sys/fs/cgroup")

HANDLER = {
    "runtime_config_path": "", "runtime_path": "", "runtime_type": "", "runtime_root": "",
    "monitor_path": "", "monitor_cgroup": "",
}  # fmt: skip
DEFAULTS = {
    "crio": {
        "root": "/var/lib/containers/storage",
        "runroot": "/run/containers/storage",
        "storage_driver": "overlay",
        "version_file": str(VERSION_FILE),
        "api": {"listen": SOCKET},
        "runtime": {
            "default_runtime": "crun",
            "conmon": "",
            "conmon_cgroup": "",
            "cgroup_manager": "systemd",
            "log_level": "info",
            "pids_limit": -1,
            "ctr_stop_timeout": 30,
            "drop_infra_ctr": True,
            "runtimes": {"crun": {**HANDLER, "runtime_root": "/run/crun"}},
        },
        "image": {
            "pause_image": "registry.k8s.io/pause:3.10.1",
            "pause_command": "/pause",
            "signature_policy": "",
            "insecure_registries": [],
        },
        "network": {"network_dir": "/etc/cni/net.d/", "plugin_dirs": ["/opt/cni/bin/"]},
    }
}


class Fatal(Exception):
    """What CRI-O ends with."""


def fatal(message: str) -> None:
    escaped = message.replace("\\", "\\\\").replace('"', '\\"')
    sys.exit(f'time="{time.strftime("%FT%TZ", time.gmtime())}" level=fatal msg="{escaped}"')


# ---- The configuration


def merged(main: str, drop_ins: str, main_is_stated: bool) -> dict:
    config = copy.deepcopy(DEFAULTS)
    if main and (main_is_stated or os.path.exists(main)):
        try:
            update(config, main)
        except Fatal as why:
            raise Fatal(f"update config from file: update config from drop-in file: {why}") from why
    if drop_ins and os.path.exists(drop_ins):
        for path in walk(drop_ins):
            try:
                update(config, path)
            except Fatal as why:
                raise Fatal(f"update config from path: walk path: {why}") from why
    return config


def walk(place: str):
    for name in sorted(os.listdir(place)):
        path = os.path.join(place, name)
        if os.path.isdir(path) and not os.path.islink(path):
            yield from walk(path)
        else:
            yield path


def update(config: dict, path: str) -> None:
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise Fatal(f"open {path}: {error.strerror.lower()}") from error
    try:
        merge(config, tomllib.loads(text), ())
    except (tomllib.TOMLDecodeError, Fatal) as why:
        raise Fatal(f"unable to decode configuration {path}: toml: {why}") from why


def merge(into: dict, said: dict, above: tuple) -> None:
    for key, value in said.items():
        own = next((name for name in into if name.lower() == key.lower()), None)
        path = (*above, key)
        if above == ("crio", "runtime") and own == "runtimes":
            for name, table in value.items():
                # a handler's table takes the place of what was there
                into[own][name] = {**HANDLER, **table}
        elif own is None:
            continue
        elif isinstance(into[own], dict):
            if not isinstance(value, dict):
                raise Fatal(f"type mismatch for {'.'.join(path)}: expected table")
            merge(into[own], value, path)
        elif type(value) is not type(into[own]):
            found = {str: "string", int: "int64", bool: "bool", list: "slice"}.get(type(value))
            wanted = {str: "string", int: "int64", bool: "bool", list: "slice"}[type(into[own])]
            raise Fatal(
                f'(last key "{".".join(path)}"): incompatible types: TOML value has type '
                f"{found}; destination has type {wanted}"
            )
        else:
            into[own] = value


def validate(config: dict, executes: bool) -> None:
    runtime = config["crio"]["runtime"]
    default = runtime["default_runtime"]
    if default not in runtime["runtimes"]:
        raise Fatal(
            f'validating runtime config: default_runtime set to "{default}", but no runtime entry '
            f"table [crio.runtime.runtimes.{default}] was found"
        )
    if not executes:
        return
    manager = runtime["cgroup_manager"]
    if manager not in ("systemd", "cgroupfs"):
        raise Fatal(
            "validating runtime config: unable to update cgroup manager: invalid cgroup manager: "
            + manager
        )
    try:
        registries()
    except Fatal as why:
        raise Fatal(f"validating runtime config: invalid registries: {why}") from why
    for name, handler in list(runtime["runtimes"].items()):
        path = handler["runtime_path"]
        if path and not os.path.exists(path):
            if name != default:
                del runtime["runtimes"][name]
                continue
            raise Fatal(
                "validating runtime config: runtime validation: invalid runtime_path for runtime "
                f"'{name}': stat {path}: no such file or directory"
            )
    for name, handler in runtime["runtimes"].items():
        where = runtime["conmon_cgroup"] or handler["monitor_cgroup"]
        problem = None
        if manager == "systemd":
            where = where or "system.slice"
            if where != "pod" and not where.endswith(".slice"):
                problem = "conmon cgroup should be 'pod' or a systemd slice"
        else:
            where = "" if where == "system.slice" else where
            if where not in ("", "pod"):
                problem = (
                    f"cgroupfs manager conmon cgroup should be 'pod' or empty, but got: '{where}'"
                )
        if problem:
            raise Fatal(
                "validating runtime config: monitor fields translation: failed to translate "
                f"monitor fields for runtime {name}: {problem}"
            )
        handler["monitor_cgroup"] = where


def registries() -> None:
    """What containers/image says of files of registries; the rest of them is not looked at."""
    for path in sorted(Path("/etc/containers/registries.conf.d").glob("*.conf")):
        try:
            stated = tomllib.loads(path.read_text()).get("registry", [])
        except tomllib.TOMLDecodeError as why:
            stated, problem = [], str(why)
        else:
            problem = None
        for each in stated:
            if not each.get("location") and not each.get("prefix", "").startswith("*."):
                problem = (
                    "invalid condition: location is unset and prefix is not in the format: "
                    "*.example.com"
                )
        if problem:
            raise Fatal(
                "/etc/containers/registries.conf: loading drop-in registries configuration "
                f'"{path}": {problem}'
            )


def toml(table: dict, path: str = "", depth: int = 0) -> str:
    pad = "  " * depth
    lines = [f"{pad}{key} = {json.dumps(value)}" for key, value in table.items()
             if not isinstance(value, dict)]  # fmt: skip
    for key, value in table.items():
        if isinstance(value, dict):
            name = f"{path}{key}"
            lines += [f"{pad}[{name}]", toml(value, f"{name}.", depth + 1).rstrip("\n")]
    return "\n".join(lines) + "\n"


# ---- Containers: processes that sleep


class Containers:
    def __init__(self) -> None:
        self.all: dict[str, dict] = json.loads(STATE.read_text()) if STATE.exists() else {}

    def save(self) -> None:
        STATE.write_text(json.dumps(self.all))

    def start(self, parent: str, manager: str) -> tuple[str, int]:
        name = uuid.uuid4().hex * 2
        if manager == "systemd":
            unit = f"crio-{name}.scope"
            command = [
                "systemd-run", "--quiet", "--scope", "--collect", f"--unit={unit}",
                f"--slice={os.path.basename(parent)}", "sleep", "infinity",
            ]  # fmt: skip
            process = subprocess.Popen(command, start_new_session=True)
            while f"/{unit}" not in Path(f"/proc/{process.pid}/cgroup").read_text():
                time.sleep(0.05)
        else:
            folder = CGROUPS / parent.lstrip("/") / f"crio-{name}"
            folder.mkdir(parents=True)
            process = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
            (folder / "cgroup.procs").write_text(str(process.pid))
        threading.Thread(target=process.wait, daemon=True).start()
        return name, process.pid

    def stop(self, name: str) -> None:
        pid = self.all[name]["pid"]
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        while os.path.exists(f"/proc/{pid}") and "Z" not in status_of(pid):
            time.sleep(0.05)

    def wipe(self) -> None:
        for name in self.all:
            self.stop(name)
        self.all = {}
        self.save()


def status_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class Refused(Exception):
    """What CRI answers with code UNKNOWN."""


class Server:
    """What CRI is asked, by the name of the call."""

    def __init__(self, config: dict) -> None:
        self.config = config
        # CRI-O reloads a copy, and what makes containers has another one
        self.in_use = copy.deepcopy(config)
        self.containers = Containers()

    def Version(self, request) -> dict:
        return {
            "version": "0.1.0", "runtime_name": "cri-o", "runtime_version": VERSION,
            "runtime_api_version": "v1",
        }  # fmt: skip

    def Status(self, request) -> dict:
        directory = Path(self.config["crio"]["network"]["network_dir"])
        ready = directory.is_dir() and any(
            path.suffix in (".conf", ".conflist", ".json") for path in directory.iterdir()
        )
        conditions = [
            {"type": "RuntimeReady", "status": True},
            {"type": "NetworkReady", "status": ready},
        ]
        return {"status": {"conditions": conditions}, "info": {}}

    def RuntimeConfig(self, request) -> dict:
        return {"linux": {"cgroup_driver": int(self.manager == "cgroupfs")}}

    @property
    def manager(self) -> str:
        return self.in_use["crio"]["runtime"]["cgroup_manager"]

    def RunPodSandbox(self, request) -> dict:
        parent = request.config.linux.cgroup_parent
        name = f"k8s_{request.config.metadata.name}"
        is_slice = parent.endswith(".slice")
        if self.manager == "systemd" and not is_slice:
            raise Refused(
                "cri-o configured with systemd cgroup manager, but did not receive slice as "
                f"parent: {parent}"
            )
        if self.manager == "cgroupfs" and is_slice:
            raise Refused(
                "cri-o configured with cgroupfs cgroup manager, but received systemd slice as "
                f"parent: {parent}"
            )
        policy = self.config["crio"]["image"]["signature_policy"] or "/etc/containers/policy.json"
        if not os.path.exists(policy):
            raise Refused(
                f'creating pod sandbox with name "{name}": unable to pull image: open {policy}: '
                "no such file or directory"
            )
        own, pid = self.containers.start(parent, self.manager)
        self.containers.all[own] = {"pid": pid, "parent": parent, "pod": own}
        self.containers.save()
        return {"pod_sandbox_id": own}

    def CreateContainer(self, request) -> dict:
        pod = self.containers.all[request.pod_sandbox_id]
        own, pid = self.containers.start(pod["parent"], self.manager)
        self.containers.all[own] = {"pid": pid, "parent": pod["parent"], "pod": pod["pod"]}
        self.containers.save()
        return {"container_id": own}

    def StartContainer(self, request) -> dict:
        return {}

    def PodSandboxStatus(self, request) -> dict:
        own = request.pod_sandbox_id
        answer = self._status(own)
        runs = Path(f"/proc/{self.containers.all[own]['pid']}").exists()
        return {**answer, "status": {"id": own, "state": 0 if runs else 1}}

    def ContainerStatus(self, request) -> dict:
        return self._status(request.container_id)

    def _status(self, name: str) -> dict:
        if name not in self.containers.all:
            raise Refused(f"could not find {name}")
        return {"info": {"info": json.dumps({"pid": self.containers.all[name]["pid"]})}}

    def StopPodSandbox(self, request) -> dict:
        for name, each in self.containers.all.items():
            if each["pod"] == request.pod_sandbox_id:
                self.containers.stop(name)
        return {}

    def RemovePodSandbox(self, request) -> dict:
        pod = request.pod_sandbox_id
        self.containers.all = {
            name: each for name, each in self.containers.all.items() if each["pod"] != pod
        }
        self.containers.save()
        return {}

    def PullImage(self, request) -> dict:
        return {"image_ref": request.image.image}

    def RemoveImage(self, request) -> dict:
        return {}

    def reload(self, read) -> None:
        try:
            new = read()
            validate(new, False)
            try:
                registries()
            except Fatal as why:
                raise Fatal(f"system registries reload failed: {why}") from why
        except Fatal as why:
            print(f'level=error msg="Unable to reload configuration: {why}"', file=sys.stderr)
            return
        now = self.config["crio"]
        now["runtime"]["log_level"] = new["crio"]["runtime"]["log_level"]
        now["image"]["pause_image"] = new["crio"]["image"]["pause_image"]
        # these it shows, and does not use
        for key in ("default_runtime", "runtimes"):
            now["runtime"][key] = new["crio"]["runtime"][key]


# ---- The daemon


def serve(config: dict, read) -> None:
    import grpc
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    files = descriptor_pb2.FileDescriptorSet.FromString(Path(DESCRIPTORS).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    [stated] = files.file
    server = Server(config)
    if VERSION_FILE.exists() and minor(VERSION_FILE.read_text()) != minor(VERSION):
        server.containers.wipe()

    def message(name: str):
        found = pool.FindMessageTypeByName(name.lstrip("."))
        if hasattr(message_factory, "GetMessageClass"):
            return message_factory.GetMessageClass(found)
        return message_factory.MessageFactory(pool).GetPrototype(found)

    def handler(method):
        answer = message(method.output_type)

        def handle(request, context):
            try:
                return answer(**getattr(server, method.name)(request))
            except (Refused, KeyError) as why:
                return context.abort(grpc.StatusCode.UNKNOWN, str(why))

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=message(method.input_type).FromString,
            response_serializer=answer.SerializeToString,
        )

    for place in (SOCKET, GRPC_SOCKET):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).unlink(missing_ok=True)
    calls = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    for service in stated.service:
        methods = {method.name: handler(method) for method in service.method}
        name = f"{stated.package}.{service.name}"
        calls.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, methods),))
    calls.add_insecure_port(f"unix:{GRPC_SOCKET}")
    calls.start()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    os.chmod(SOCKET, 0o660)
    listener.listen()
    VERSION_FILE.write_text(VERSION)
    signal.signal(signal.SIGHUP, lambda *_: server.reload(read))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    notify()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer_one, args=(connection, server), daemon=True).start()


def minor(version: str) -> list[str]:
    return version.strip().split(".")[:2]


def notify() -> None:
    if place := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"READY=1", place.replace("@", "\0", 1) if place[0] == "@" else place)


def answer_one(connection: socket.socket, server: Server) -> None:
    """HTTP/2 is CRI's, and goes to gRPC; the rest is CRI-O's own."""
    if connection.recv(4, socket.MSG_PEEK) == b"PRI ":
        other = socket.socket(socket.AF_UNIX)
        other.connect(GRPC_SOCKET)
        threading.Thread(target=pipe, args=(connection, other), daemon=True).start()
        pipe(other, connection)
        return
    path = connection.recv(65536).split(b" ")[1].decode()
    if path == "/config":
        body = toml(server.config)
    elif path == "/info":
        root = server.config["crio"]["root"]
        body = json.dumps(
            {"storage_driver": "overlay", "storage_root": root, "cgroup_driver": server.manager}
        )
    else:
        body = ""
    head = f"HTTP/1.1 {200 if body else 404} X\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    connection.sendall(head.encode() + body.encode())
    connection.close()


def pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(65536):
            target.sendall(content)
    except OSError:
        pass
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


# ---- The command line


def asked(place: str, path: str) -> bytes:
    class Connection(HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(place)

    connection = Connection("localhost")
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Fatal(f'do get request: Get "{path}": dial unix {place}: connect: {reason}') from None


def options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    stated: dict[str, str] = {}
    while words and words[0].startswith("-"):
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        if not equals and name not in ("version", "v", "default"):
            value = words.pop(0) if words else ""
        stated[name] = value
    return stated, words


def main() -> None:
    stated, words = options(sys.argv[1:])
    if "version" in stated:
        print(f"crio version {VERSION}\n   GitCommit:      stand-in")
        return

    def read() -> dict:
        try:
            return merged(
                stated.get("config", MAIN), stated.get("config-dir", DROP_INS), "config" in stated
            )
        except Fatal as why:
            raise Fatal(f"get and merge config from context: {why}") from why

    config = read()
    if "cgroup-manager" in stated:
        config["crio"]["runtime"]["cgroup_manager"] = stated["cgroup-manager"]
    if words[:1] == ["config"]:
        validate(config, False)
        print(toml(config), end="")
    elif words[:1] == ["status"]:
        own, words = options(words[1:])
        place = own.get("socket", SOCKET)
        if words == ["config"]:
            print(asked(place, "/config").decode(), end="")
        else:
            info = json.loads(asked(place, "/info"))
            print(f"cgroup driver: {info['cgroup_driver']}")
            print(f"storage driver: {info['storage_driver']}")
            print(f"storage graph root: {info['storage_root']}")
    else:
        validate(config, True)
        serve(config, read)


if __name__ == "__main__":
    try:
        main()
    except Fatal as end:
        fatal(str(end))
