"""The block planner: every register once, within the limits, and never dearer than it must be."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices_stage import TRISTAR, TRISTAR_600
from heliobus.devices.driver import BlockLimits, Driver, Poll, Register, Table
from heliobus.devices.plan import TCP_COST, Block, Cost, halves, plan, rtu_cost
from heliobus.model.point import Point
from heliobus.model.quantity import NUMBER
from heliobus.wire.modbus.coding import Coding

COSTS = (TCP_COST, rtu_cost(9600, 0.03), rtu_cost(9600, 0.05), rtu_cost(115200, 0.01))


def register(address: int, words: int, poll: Poll = Poll.FAST, table: Table = Table.INPUT) -> Register:
    coding = Coding(words, lambda got: got[0])
    return Register(address, Point(f"p{address}", NUMBER, ""), coding, poll=poll, table=table)


registers = st.lists(
    st.builds(
        register,
        st.integers(0, 160),
        st.integers(1, 6),
        st.sampled_from((Poll.FAST, Poll.SLOW)),
        st.sampled_from((Table.HOLDING, Table.INPUT)),
    ),
    max_size=40,
)
limits = st.builds(
    BlockLimits,
    st.integers(4, 125),
    st.booleans(),
    st.frozensets(st.integers(0, 166), max_size=20),
    st.frozensets(st.integers(0, 166), max_size=8),
)
costs = st.builds(Cost, st.floats(0.001, 1), st.floats(0.00001, 0.1))


def addresses(block: Block) -> range:
    return range(block.address, block.address + block.count)


def covered(block: Block) -> set[int]:
    return {address for each in block.registers for address in range(each.address, each.end)}


def islands(members: Sequence[Register]) -> int:
    """How many groups of registers share addresses with nobody else."""
    ends: list[int] = []
    for each in sorted(members, key=lambda each: each.address):
        if ends and each.address < ends[-1]:
            ends[-1] = max(ends[-1], each.end)
        else:
            ends.append(each.end)
    return len(ends)


@settings(deadline=None)
@given(registers, limits, costs)
def test_every_register_is_read_by_exactly_one_block_of_its_class_and_table(
    members: list[Register], limit: BlockLimits, cost: Cost
) -> None:
    blocks = plan(members, limit, cost)
    placed = [id(each) for block in blocks for each in block.registers]
    assert sorted(placed) == sorted(map(id, members))
    for block in blocks:
        for each in block.registers:
            assert (each.poll, each.table) == (block.poll, block.table)
            assert block.address <= each.address < each.end <= block.address + block.count


@settings(deadline=None)
@given(registers, limits, costs)
def test_blocks_are_tight_in_order_and_do_not_overlap(members: list[Register], limit: BlockLimits, cost: Cost) -> None:
    blocks = plan(members, limit, cost)
    for poll in Poll:
        for table in Table:
            mine = [block for block in blocks if (block.poll, block.table) == (poll, table)]
            for before, after in pairwise(mine):
                assert before.address + before.count <= after.address
    for block in blocks:
        assert min(covered(block)) == block.address
        assert max(covered(block)) == block.address + block.count - 1


@settings(deadline=None)
@given(registers, limits, costs)
def test_the_limits_of_the_device_hold(members: list[Register], limit: BlockLimits, cost: Cost) -> None:
    for block in plan(members, limit, cost):
        if block.count > limit.max_count:
            assert islands(block.registers) == 1
        holes = set(addresses(block)) - covered(block)
        assert holes.isdisjoint(limit.forbidden)
        assert limit.holes or not holes
        if islands(block.registers) > 1:
            # What shares addresses cannot be parted, and may reach over one.
            inside = {address for each in block.registers for address in range(each.address + 1, each.end)}
            assert limit.starts.isdisjoint(set(addresses(block)) - inside - {block.address})


@settings(deadline=None)
@given(registers, limits, costs)
def test_registers_that_share_addresses_are_never_parted(
    members: list[Register], limit: BlockLimits, cost: Cost
) -> None:
    blocks = plan(members, limit, cost)
    home = {id(each): index for index, block in enumerate(blocks) for each in block.registers}
    for one in members:
        for other in members:
            together = (one.poll, one.table) == (other.poll, other.table)
            if together and one.address < other.end and other.address < one.end:
                assert home[id(one)] == home[id(other)]


@settings(deadline=None)
@given(registers, limits, costs)
def test_it_is_never_dearer_than_a_request_for_each_register(
    members: list[Register], limit: BlockLimits, cost: Cost
) -> None:
    together = sum(cost.of(block.count) for block in plan(members, limit, cost))
    apart = sum(cost.of(each.count) for each in members)
    assert together <= apart + 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), min_size=1, max_size=9),
    st.integers(6, 40),
    st.booleans(),
    st.frozensets(st.integers(0, 130), max_size=6),
    st.frozensets(st.integers(0, 130), max_size=6),
    costs,
)
def test_no_other_partition_is_cheaper(
    steps: list[tuple[int, int]],
    max_count: int,
    holes: bool,
    forbidden: frozenset[int],
    starts: frozenset[int],
    cost: Cost,
) -> None:
    members: list[Register] = []
    at = 0
    for gap, words in steps:
        at += gap - 1
        members.append(register(at, words))
        at += words
    limit = BlockLimits(max_count, holes, forbidden, starts)
    found = sum(cost.of(block.count) for block in plan(members, limit, cost))
    assert found == pytest.approx(cheapest_by_trying(members, limit, cost))


def cheapest_by_trying(members: list[Register], limit: BlockLimits, cost: Cost) -> float:
    """Every way to cut the row of registers, priced."""
    best = float("inf")
    for cuts in range(2 ** (len(members) - 1)):
        runs: list[list[Register]] = [[members[0]]]
        for index, each in enumerate(members[1:]):
            if cuts >> index & 1:
                runs.append([each])
            else:
                runs[-1].append(each)
        if all(allowed(run, limit) for run in runs):
            best = min(best, sum(cost.of(run[-1].end - run[0].address) for run in runs))
    return best


def allowed(run: list[Register], limit: BlockLimits) -> bool:
    if len(run) == 1:
        return True
    gaps = {address for a, b in pairwise(run) for address in range(a.end, b.address)}
    if not limit.starts.isdisjoint({*gaps, *(each.address for each in run[1:])}):
        return False
    short = run[-1].end - run[0].address <= limit.max_count
    return short and gaps.isdisjoint(limit.forbidden) and (limit.holes or not gaps)


@settings(deadline=None)
@given(registers.filter(bool), limits, costs)
def test_halving_ends_and_loses_nothing(members: list[Register], limit: BlockLimits, cost: Cost) -> None:
    for block in plan(members, limit, cost):
        waiting, single = [block], []
        while waiting:
            part = waiting.pop()
            parts = halves(part)
            if parts is None:
                assert islands(part.registers) == 1
                single.append(part)
                continue
            low, high = parts
            assert low.registers and high.registers
            assert low.address + low.count <= high.address
            assert (low.address, high.address + high.count) == (part.address, part.address + part.count)
            assert {(each.table, each.poll) for each in parts} == {(block.table, block.poll)}
            waiting += parts
        assert sorted(id(each) for part in single for each in part.registers) == sorted(map(id, block.registers))


@pytest.mark.parametrize("start", [5, 7])
def test_a_request_begins_where_one_must(start: int) -> None:
    members = [register(address, 1) for address in (*range(6), *range(8, 12))]
    limit = BlockLimits(starts=frozenset({start}))
    assert [(each.address, each.count) for each in plan(members, limit, TCP_COST)] == (
        [(0, 5), (5, 7)] if start == 5 else [(0, 6), (8, 4)]
    )


def test_what_is_read_alone_has_a_start_behind_it() -> None:
    members = [register(address, 1) for address in range(6)]
    blocks = plan(members, BlockLimits(starts=frozenset({2, 3})), TCP_COST)
    assert [(each.address, each.count) for each in blocks] == [(0, 2), (2, 1), (3, 3)]


def test_halves_are_about_equal() -> None:
    [block] = plan([register(address, 1) for address in range(92)], BlockLimits(), TCP_COST)
    low, high = halves(block) or pytest.fail("92 registers can be parted")
    assert (low.count, high.count) == (46, 46)


@pytest.mark.parametrize("cost", COSTS)
def test_the_tristar_is_read_in_one_request_a_cycle(cost: Cost) -> None:
    blocks = plan(TRISTAR.registers, TRISTAR.limits, cost)
    assert [(each.table, each.address, each.count) for each in blocks if each.poll is Poll.FAST] == [
        (Table.INPUT, 0x0000, 92)
    ]
    rest = {(each.table, each.address, each.count, each.poll) for each in blocks if each.poll is not Poll.FAST}
    assert rest == {
        (Table.COILS, 0x0000, 3, Poll.NORMAL),
        (Table.INPUT, 0x1000, 49, Poll.ONCE),
        (Table.HOLDING, 0xE000, 34, Poll.ONCE),
        (Table.HOLDING, 0xE0CC, 1, Poll.ONCE),
        (Table.HOLDING, 0xE080, 13, Poll.SLOW),
    }


def test_the_tristar_that_refuses_92_registers_gets_two_halves_that_part_no_double_word() -> None:
    [block] = [each for each in plan(TRISTAR.registers, TRISTAR.limits, TCP_COST) if each.poll is Poll.FAST]
    parts = halves(block) or pytest.fail("the map can be parted")
    assert all(part.count <= 60 for part in parts)
    assert sum(len(part.registers) for part in parts) == len(block.registers)
    for part in parts:
        assert all(part.address <= each.address and each.end <= part.address + part.count for each in part.registers)


@pytest.mark.parametrize("driver", [TRISTAR, TRISTAR_600])
def test_no_declared_block_is_longer_than_is_known_to_work(driver: Driver) -> None:
    assert all(each.count <= 100 for each in plan(driver.registers, driver.limits, TCP_COST))


@pytest.mark.parametrize(("turnaround", "hole"), [(0.010, 15), (0.030, 24), (0.050, 34)])
def test_a_hole_is_read_over_where_that_is_cheaper_than_another_request(turnaround: float, hole: int) -> None:
    cost = rtu_cost(9600, turnaround)
    assert cost.request / cost.register == pytest.approx(hole, rel=0.1)
    near, far = round(0.8 * hole), round(1.2 * hole)
    assert len(plan([register(0, 1), register(1 + near, 1)], BlockLimits(), cost)) == 1
    assert len(plan([register(0, 1), register(1 + far, 1)], BlockLimits(), cost)) == 2


def test_over_tcp_a_request_costs_more_than_any_hole() -> None:
    assert len(plan([register(0, 1), register(120, 1)], BlockLimits(), TCP_COST)) == 1


def test_a_single_register_longer_than_the_limit_is_still_read() -> None:
    [block] = plan([register(5, 6)], BlockLimits(max_count=4), TCP_COST)
    assert (block.address, block.count, halves(block)) == (5, 6, None)


def test_nothing_to_read_is_no_request() -> None:
    assert plan([], BlockLimits(), TCP_COST) == []
