"""Shows a real Home Assistant our discovery messages, and looks at what it makes of them. See README.md here."""

import argparse
import asyncio
import sys
from pathlib import Path

import aiomqtt
from charger import daemon
from debian_tree import DebianTree
from messages import Messages
from stage import Judge, Stage


async def main() -> int:
    """0 if everything is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the Debian tree; made if it is not there")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--version", default="2026.2.3", help="of Home Assistant")
    arguments = parser.parse_args()
    tree = DebianTree(arguments.root.resolve(), arguments.mirror, arguments.version)
    tree.prepare()
    folder = tree.root.with_name(f"{tree.root.name}-logs")
    folder.mkdir(exist_ok=True)
    judge, stage = Judge(), Stage(tree, folder)
    stage.check_examples(judge)
    async with stage.running() as hass:
        async with aiomqtt.Client("127.0.0.1", stage.broker_port, identifier="acceptance") as client:
            await Messages(hass, client, judge).run()
        judge.see("Home Assistant does not complain", stage.complaints())
        await daemon(hass, stage, judge)
        judge.see("Home Assistant does not complain of the charger", stage.complaints())
    print(f"{judge.failures} failed; logs are in {folder}")
    return 1 if judge.failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
