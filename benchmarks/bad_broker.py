"""A broker that is none: it takes connections on a port of its own and does what its kind is called.

Usage: bad_broker.py hangs|garbage|closes|drops SECONDS. Prints the port. `drops` accepts everything and forgets it; it
and `closes` speak enough MQTT 3.1.1 to be believed, and `closes` hangs up after so many SECONDS.
"""

import asyncio
import random
import sys

from side_process import answer_questions, say

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 1, 3, 8, 12
CONNACK, PINGRESP = b"\x20\x02\x00\x00", b"\xd0\x00"
REFUSES_MQTT_5 = b"\x20\x02\x00\x01"


async def packets(reader: asyncio.StreamReader):  # type: ignore[no-untyped-def]
    """Kind, flags and content of each packet."""
    while True:
        head = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield head >> 4, head & 15, await reader.readexactly(length)


async def believed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for kind, flags, content in packets(reader):
        if kind == CONNECT:
            writer.write(CONNACK if content[6] == 4 else REFUSES_MQTT_5)
        elif kind == SUBSCRIBE:
            writer.write(b"\x90\x03" + content[:2] + b"\x00")
        elif kind == PINGREQ:
            writer.write(PINGRESP)
        elif kind == PUBLISH and flags & 6:
            length = int.from_bytes(content[:2], "big")
            writer.write(b"\x40\x02" + content[2 + length : 4 + length])


async def serve(mode: str, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        if mode == "hangs":
            await asyncio.Event().wait()
        elif mode == "garbage":
            noise = random.Random(1)
            while True:
                writer.write(noise.randbytes(256))
                await writer.drain()
                await asyncio.sleep(0.1)
        else:
            async with asyncio.timeout(seconds if mode == "closes" else None):
                await believed(reader, writer)
    except (OSError, EOFError, TimeoutError):
        pass
    finally:
        writer.close()


async def main(mode: str, seconds: float) -> None:
    tasks = set()

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(mode, seconds, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    say(server.sockets[0].getsockname()[1])
    await answer_questions(lambda _: len(tasks))
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
