"""The rows of the runtimes: what tells one from the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenode.runtimes.runtime import (
    CONTAINERD,
    CRIO,
    DOCKER,
    MCR,
    RUNTIMES,
    Runtime,
    of_endpoint,
)


@pytest.mark.parametrize(
    ("endpoint", "runtime"),
    [
        ("unix:///run/containerd/containerd.sock", CONTAINERD),
        ("/var/run//containerd/containerd.sock", CONTAINERD),
        ("unix:///run/k3s/containerd/containerd.sock", CONTAINERD),
        ("unix:///var/run/crio/crio.sock", CRIO),
        ("unix:///srv/crio/api.sock", CRIO),
        ("unix:///run/crio.sock", CRIO),
        ("unix:///run/cri-dockerd.sock", DOCKER),
        ("unix:///var/run/cri-docker.sock", DOCKER),
        ("unix:///run/dockershim.sock", None),
        ("unix:///run/notcrio.sock", None),
        ("npipe:////./pipe/x", None),
        ("", None),
        (None, None),
    ],
)
def test_an_endpoint_leads_to_its_runtime(endpoint: str | None, runtime: Runtime | None) -> None:
    assert of_endpoint(endpoint) is runtime


def test_each_rows_own_socket_leads_to_what_answers_there() -> None:
    for row in RUNTIMES:
        found = of_endpoint(f"unix://{row.socket}")
        assert found is not None
        assert found.cri == row.cri


def test_only_mcr_shares_what_tells_a_runtime() -> None:
    others = [row for row in RUNTIMES if row is not MCR]
    for field in ("name", "cri", "socket", "data_root", "scope", "units", "programs"):
        assert len({getattr(row, field) for row in others}) == len(others), field
    packages = [name for row in RUNTIMES for names in row.packages.values() for name in names]
    assert len(packages) == len(set(packages))


@given(st.text(max_size=80))
def test_any_text_is_an_endpoint_or_none(endpoint: str) -> None:
    assert of_endpoint(endpoint) in (*RUNTIMES, None)
