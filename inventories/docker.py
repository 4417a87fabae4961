"""The demo targets: running containers with the label ``kubenode.target=demo``.

``make target`` starts them. Only running containers are listed: pyinfra would start a stopped one,
commit it to an image and remove it.
"""

import docker
from docker.errors import DockerException
from pyinfra.api.exceptions import InventoryError

try:
    _running = docker.from_env().containers.list(filters={"label": "kubenode.target=demo"})
except DockerException as error:
    raise InventoryError(f"no Docker daemon answers, start one: {error}") from error
if not _running:
    raise InventoryError("no demo target is running: `make target` starts them")

hosts = [
    (f"@docker/{container.name}", {"docker_identifier": container.name})
    for container in sorted(_running, key=lambda container: container.name)
]
