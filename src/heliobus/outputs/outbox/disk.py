"""The files of an outbox, written by one thread only. Everything here blocks and raises OSError."""

import os
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path

from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.record import Entry
from heliobus.outputs.outbox.recovery import Recovered, recover, segment_path, tail_path
from heliobus.outputs.outbox.segment import Block, opened, sealed


class Disk:
    """The tail that is written to, and the segments, which are of about `room` bytes."""

    def __init__(self, folder: Path, files: Files, room: int) -> None:
        self._folder = folder
        self._files = files
        self._room = room
        self._tail: FileIO | None = None
        self._number = 0
        self._segment = 0
        self._filled = 0

    def recover(self) -> Recovered:
        """What the folder holds; what is written from now on goes to new files."""
        found = recover(self._files, self._folder)
        self._number = max(found.tails, default=0)
        self._segment = max(found.sizes, default=0) + 1
        return found

    def append(self, content: bytes) -> None:
        """Append to the tail. After an error its end may be torn: it takes a new one."""
        assert self._tail is not None
        self._files.write(self._tail, content)

    def renew(self, content: bytes) -> int:
        """Begin a new tail with `content`, and return its number; the one before stays as it is."""
        number = self._number + 1
        path = tail_path(self._folder, number)
        file = self._files.open(path)
        try:
            self._files.write(file, content)
        except OSError:
            file.close()
            self._files.remove(path)
            raise
        self.close()
        self._tail, self._number = file, number
        return number

    def empty(self) -> None:
        """Throw away what is in the tail."""
        assert self._tail is not None
        self._files.empty(self._tail)

    def seal(self, entries: Sequence[Entry]) -> Block:
        """Append a block to the present segment, or to a new one if that is full."""
        if self._filled >= self._room:
            self.roll()
        path = segment_path(self._folder, self._segment)
        file = self._files.open(path)
        try:
            block, content = sealed(entries, self._segment, file.seek(0, os.SEEK_END))
            self._files.write(file, content)
        except OSError:
            # What is torn here is stepped over when it is read; nothing is put behind it.
            file.close()
            filled = self._filled
            self.roll()
            if not filled:
                self._files.remove(path)
            raise
        file.close()
        self._filled = block.offset + len(content)
        return block

    def roll(self) -> None:
        """The next block begins a new segment."""
        self._segment += 1
        self._filled = 0

    def read(self, block: Block) -> list[Entry]:
        """The entries of a block. Also raises DamagedBlockError."""
        return opened(block, self._files.read(segment_path(self._folder, block.segment), block.offset, block.size))

    def remove(self, tails: Iterable[int], segments: Iterable[int]) -> None:
        """Delete files: the older tails first, since the state of the newest speaks for all."""
        for number in segments:
            if number == self._segment:
                self.roll()
            self._files.remove(segment_path(self._folder, number))
        for number in tails:
            self._files.remove(tail_path(self._folder, number))

    def close(self) -> None:
        """Close the tail."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None


def sync(files: Files, folder: Path, tails: Sequence[int], segments: Iterable[int], obsolete: Iterable[int]) -> None:
    """Have these on disk, and then delete the tails that are `obsolete` by that. May run beside a Disk."""
    for number in segments:
        files.sync(segment_path(folder, number))
    for number in tails:
        files.sync(tail_path(folder, number))
    files.sync_folder(folder)
    for number in obsolete:
        files.remove(tail_path(folder, number))
