"""The benchmark's own arithmetic, and that its simulated hosts are hosts."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chart, delay, growth, hosts, process, simulated, table
from kubenode.facts.node import Node


def measurement(subject: str, job: str, wall: float, **changes: Any) -> dict[str, Any]:
    return {
        "subject": subject, "job": job, "init": "systemd", "hosts": 4, "delay_ms": 0,
        "wall": wall, "cpu": 2.0, "peak_mib": 70, "whole_tree": False, "host_cpu": 1.0,
        "sessions": 1.0, "kib": 10.0, **changes,
    }  # fmt: skip


MEASURED = [
    # the round that measures memory is slow, and is not one of those that count
    measurement("floor", "floor", 50.0, whole_tree=True, peak_mib=60),
    *(measurement("floor", "floor", wall) for wall in (1.0, 3.0, 2.0)),
    measurement("kubenode", "no-op", 3.0),
    measurement("ansible", "no-op", 60.0, peak_mib=400, whole_tree=True),
    measurement("ansible", "no-op", 30.0),
    measurement("ansible", "first", 90.0),
]


def test_rows_are_medians_and_ratios() -> None:
    rows = {(row.subject, row.job): row for row in table.rows(MEASURED)}
    floor = rows["floor", "floor"]
    assert (floor.wall, floor.least, floor.most, floor.peak_mib) == (2.0, 1.0, 3.0, 70)
    assert rows["kubenode", "no-op"].to_floor == 1.5
    ansible = rows["ansible", "no-op"]
    assert (ansible.wall, ansible.to_kubenode, ansible.peak_mib) == (30.0, 10.0, 400)
    assert ansible.cpu_per_host == 0.5
    # nothing to compare with is not a ratio of 0
    assert rows["ansible", "first"].to_kubenode is None


def test_the_chart_has_a_bar_for_each_and_is_as_long_as_its_time() -> None:
    svg = chart.render(table.rows(MEASURED), "A & B")
    assert "A &amp; B" in svg
    assert svg.count('rx="2"') == 4
    assert '"460.0"' in svg
    assert '"46.0"' in svg  # 3 s of 30 s


def test_sessions_are_counted_by_sshd() -> None:
    log = (
        "Accepted publickey for root\n"
        "Starting session: command for root from 172.17.0.1 port 1 id 0\n"
        "Starting session: subsystem 'sftp' for root from 172.17.0.1 port 1 id 1\n"
        "Close session: user root\n"
    )
    assert hosts.sessions(log) == 2


def test_descendants_of_descendants_count() -> None:
    assert process.descendants({2: 1, 3: 2, 4: 3, 5: 1}, 2) == {2, 3, 4}


@pytest.mark.parametrize(("cpu", "expected"), [(10.0, 1.0), (100.0, 2.0)])
def test_growth(cpu: float, expected: float) -> None:
    found = growth.exponent({"hosts": 10, "cpu": 1.0}, {"hosts": 100, "cpu": cpu}, "cpu")
    assert found == pytest.approx(expected)


def test_what_a_run_cost_is_its_childrens_too(tmp_path: Path) -> None:
    spin = "import time\nwhile time.process_time() < 0.2: pass"
    call = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])"
    ran = process.run([sys.executable, "-c", call], cwd=tmp_path, environment={})
    assert ran.returncode == 0
    assert ran.cpu >= 0.2
    assert ran.wall >= 0.2
    assert ran.peak_kib > 1024


def test_a_simulated_host_is_a_node_of_its_own() -> None:
    facts = []
    for index, name in enumerate(["simulated-0", "simulated-1"]):
        node = Node()
        command = node.command()
        facts.append(node.process(simulated.answer(index, name, command)))
    first, second = facts
    assert first["missing"] == second["missing"] == {}
    assert first["network"] is not None
    assert first["network"]["hostname"] == "simulated-0"
    assert first["machine"] is not None
    assert second["machine"] is not None
    assert first["machine"]["machine_id"] != second["machine"]["machine_id"]


def test_the_proxy_delays_a_connection_and_each_answer() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def scenario() -> list[float]:
        host = await asyncio.start_server(echo, "127.0.0.1", 0)
        proxy = await delay.serve(0, "127.0.0.1", host.sockets[0].getsockname()[1], 60)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", proxy.sockets[0].getsockname()[1]
        )
        times = []
        for _ in range(2):
            started = time.monotonic()
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            times.append(time.monotonic() - started)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        proxy.close()
        host.close()
        return times

    # lower bounds only: a sleep is never shorter than it should be, whatever the machine does
    first, second = asyncio.run(scenario())
    assert first >= 0.119
    assert second >= 0.059
