"""A power cut after a kill: what the killed process left is brought on disk by the next one."""

from pathlib import Path

from heliobus.outputs.outbox import Files
from outbox_stage import make_outbox, record


class Synced(Files):
    """Remembers what was brought on disk."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def sync(self, path: Path) -> None:
        super().sync(path)
        self.done.append(path.name)

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.done.append("folder")


async def test_all_that_a_killed_process_left_is_on_disk_before_any_of_it_is_deleted(tmp_path: Path) -> None:
    killed = make_outbox(tmp_path, sync_every=3600.0)
    killed.open()
    for number in range(300):
        await killed.put([record(number, 2500)])
    left = {path.name for path in tmp_path.iterdir()}
    assert {name.partition(".")[0] for name in left} == {"segment", "tail"}
    files = Synced()
    after = make_outbox(tmp_path, files=files)
    after.open()
    assert {*files.done[:-1]} == left and files.done[-1] == "folder"
    await after.close()
    await killed.close()
