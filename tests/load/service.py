"""A small HTTP service that answers as its path says: rightly, wrongly, late, not at all."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Service:
    """Where it listens, and what it was asked: method, path, headers and body."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running() -> Iterator[Service]:
    """Run it in a thread for the block."""
    service = Service()
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> asyncio.Server:
        server = await asyncio.start_server(lambda r, w: _serve(service, r, w), "127.0.0.1", 0)
        service.port = server.sockets[0].getsockname()[1]
        return server

    async def close(server: asyncio.Server) -> None:
        server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(serve())
        loop.call_soon(ready.set)  # from within run_forever: a stop that comes before it would be lost
        loop.run_forever()
        loop.run_until_complete(close(server))
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _serve(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    service.connections += 1
    try:
        while line := await reader.readline():
            method, path, _ = line.decode().split(" ", 2)
            headers = {}
            while (header := (await reader.readline()).decode().strip()) != "":
                name, _, value = header.partition(":")
                headers[name.lower()] = value.strip()
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            service.asked.append((method, path, headers, body))
            kind, _, rest = path.strip("/").partition("/")
            if kind == "reset":
                linger = struct.pack("ii", 1, 0)  # closing sends a reset then
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return
            if kind == "empty":
                writer.close()
                return
            if kind == "slow":
                await asyncio.sleep(float(rest))
            status = int(rest) if kind == "status" else 200
            answer = json.dumps({"id": rest, "kind": kind}).encode() if kind != "text" else b"plain"
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
            await writer.drain()
    except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
