"""kubenode_runtime chooses the operations that prepare a node."""

from __future__ import annotations

import pytest
from pyinfra.api import OperationValueError

from kubenode import node
from kubenode.facts.containerd_service import ContainerdService
from kubenode.facts.handler_needs import HandlerNeeds
from kubenode.runtimes.runtime import RUNTIMES
from kubenode.settings import DEFAULTS, PREPARED, NodeSettings


def test_each_runtime_that_can_be_set_has_operations_and_a_row() -> None:
    for name in PREPARED:
        assert node._set_up_by(name).configured_by(DEFAULTS)
        assert name in {row.name for row in RUNTIMES}


def test_what_is_not_set_is_not_read() -> None:
    configured_by = node._set_up_by("containerd").configured_by

    def read(settings: NodeSettings) -> set[type]:
        return {fact for fact, _ in configured_by(settings)}

    assert not {ContainerdService, HandlerNeeds} & read(DEFAULTS)
    assert ContainerdService in read(NodeSettings(proxy={}))
    assert ContainerdService in read(NodeSettings(limit_nofile=4096))
    kata = {"runtime_type": "io.containerd.kata.v2"}
    assert HandlerNeeds in read(NodeSettings(containerd_handlers={"kata": kata}))
    assert HandlerNeeds not in read(NodeSettings(containerd_handlers={"kata": None}))


@pytest.mark.parametrize("name", ["cri-o", "podman", "rkt", ""])
def test_another_runtime_is_an_error(name: str) -> None:
    with pytest.raises(OperationValueError, match=f"kubenode_runtime '{name}': .* containerd"):
        node._set_up_by(name)
