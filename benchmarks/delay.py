"""Network delay in front of hosts: ``python -m benchmarks.delay MILLISECONDS PORT=ADDRESS...``.

A TCP proxy for each host, on 127.0.0.1: what is sent through it arrives half the time later, in
either direction, and so does the opening of a connection. For kernels without netem, on which it
does what ``tc qdisc add ... netem delay`` does to the round trip of a connection (no loss, and the
window does not count). It runs in a process of its own, whose CPU time is nobody's.
"""

from __future__ import annotations

import asyncio
import sys

_PIECE = 64 * 1024
_SSH_PORT = 22


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(due - loop.time(), 0))
            if not piece:
                break
            writer.write(piece)
            await writer.drain()

    writing = asyncio.create_task(write())
    try:
        while piece := await reader.read(_PIECE):
            pieces.put_nowait((loop.time() + seconds, piece))
        pieces.put_nowait((loop.time() + seconds, b""))
        await writing
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # either side may be gone before the other
        writing.cancel()


async def serve(port: int, address: str, to_port: int, milliseconds: float) -> asyncio.Server:
    """Listen on *port* of 127.0.0.1 for a host, whose every answer comes *milliseconds* later."""
    one_way = milliseconds / 2000

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # the handshake of TCP itself takes a round trip before anything else can be sent
        await asyncio.sleep(2 * one_way)
        try:
            to_host, from_host = None, None
            from_host, to_host = await asyncio.open_connection(address, to_port)
            await asyncio.gather(
                _pass_on(reader, to_host, one_way), _pass_on(from_host, writer, one_way)
            )
        except OSError:
            pass
        finally:
            writer.close()
            if to_host is not None:
                to_host.close()

    return await asyncio.start_server(connected, "127.0.0.1", port)


async def _main(arguments: list[str]) -> None:
    milliseconds = float(arguments[0])
    servers = []
    for argument in arguments[1:]:
        port, _, address = argument.partition("=")
        servers.append(await serve(int(port), address, _SSH_PORT, milliseconds))
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
