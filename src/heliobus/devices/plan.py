"""Joins registers into requests so that the line is busy for the shortest time. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from heliobus.devices.driver import BlockLimits, Poll, Register, Table


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs in seconds: `request` whatever it reads, and `register` for each address it covers."""

    request: float
    register: float

    def of(self, count: int) -> float:
        """The time of one request that covers `count` addresses."""
        return self.request + count * self.register


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One request: `count` addresses of `table` from `address`, and the registers that lie in them."""

    table: Table
    address: int
    count: int
    poll: Poll
    registers: tuple[Register, ...]


def rtu_cost(baud: int, turnaround: float, gap: float = 0.0) -> Cost:
    """The cost on a serial line: 8 characters to ask, 5 around the answer, two silences of 3.5, 2 for each register."""
    character = 11 / baud
    return Cost((8 + 5 + 7) * character + turnaround + gap, 2 * character)


TCP_COST = Cost(0.01, 0.00002)
"""On a LAN a request costs a round trip and perhaps a connection; a register costs next to nothing."""


@dataclass(frozen=True, slots=True)
class _Atom:
    """Registers that share addresses, and so are never read apart."""

    start: int
    end: int
    registers: tuple[Register, ...]


def plan(registers: Iterable[Register], limits: BlockLimits, cost: Cost) -> list[Block]:
    """The cheapest requests that read every register once, by poll class and table, in order of address."""
    groups: dict[tuple[Poll, Table], list[Register]] = {}
    for register in registers:
        groups.setdefault((register.poll, register.table), []).append(register)
    return [
        _block(table, poll, run)
        for (poll, table), members in groups.items()
        for run in _cheapest(_atoms(members), limits, cost)
    ]


def halves(block: Block) -> tuple[Block, Block] | None:
    """`block` as two of about equal length, or None when nothing in it can be parted; for a device that refused it."""
    atoms = _atoms(block.registers)
    if len(atoms) < 2:
        return None
    middle = block.address + block.count / 2
    cut = min(range(1, len(atoms)), key=lambda index: abs(atoms[index].start - middle))
    return _block(block.table, block.poll, atoms[:cut]), _block(block.table, block.poll, atoms[cut:])


def _atoms(registers: Iterable[Register]) -> list[_Atom]:
    atoms: list[_Atom] = []
    for register in sorted(registers, key=lambda register: (register.address, register.end)):
        if atoms and register.address < atoms[-1].end:
            last = atoms.pop()
            atoms.append(_Atom(last.start, max(last.end, register.end), (*last.registers, register)))
        else:
            atoms.append(_Atom(register.address, register.end, (register,)))
    return atoms


def _block(table: Table, poll: Poll, atoms: Sequence[_Atom]) -> Block:
    registers = tuple(register for atom in atoms for register in atom.registers)
    return Block(table, atoms[0].start, atoms[-1].end - atoms[0].start, poll, registers)


def _cheapest(atoms: Sequence[_Atom], limits: BlockLimits, cost: Cost) -> list[Sequence[_Atom]]:
    """The partition of `atoms` into runs with the least total cost, by dynamic programming over where runs end."""
    best = [0.0]
    starts = [0]
    for end in range(1, len(atoms) + 1):
        options = [
            (best[start] + cost.of(atoms[end - 1].end - atoms[start].start), start)
            for start in _runs(atoms, end, limits)
        ]
        total, start = min(options)
        best.append(total)
        starts.append(start)
    runs: list[Sequence[_Atom]] = []
    end = len(atoms)
    while end:
        runs.append(atoms[starts[end] : end])
        end = starts[end]
    return runs[::-1]


def _runs(atoms: Sequence[_Atom], end: int, limits: BlockLimits) -> Iterator[int]:
    """Where a run that ends before `end` may start: a single atom always, more as far as the limits let it reach."""
    yield end - 1
    for start in range(end - 2, -1, -1):
        # A start within an atom cannot be honoured: an atom is not parted.
        if not limits.starts.isdisjoint(range(atoms[start].end, atoms[start + 1].start + 1)):
            return
        hole = range(atoms[start].end, atoms[start + 1].start)
        if hole and not (limits.holes and limits.forbidden.isdisjoint(hole)):
            return
        if atoms[end - 1].end - atoms[start].start > limits.max_count:
            return
        yield start
