"""No value that is not true: the faults of the program before us, doubt, garbage (epever-pzem-peers.md §1.6)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epever_stage import COST, DUORACER, TRACER, recorded, understood, with_words
from heliobus.devices.driver import Driver, Recognised
from heliobus.devices.epever.derive import derive
from heliobus.devices.epever.doubt import doubt
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import plan
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.model.reading import Reason
from heliobus.wire.modbus.answer import BadAnswer

CHECKS = {
    *("pvvolt", "pvamps", "pvwatt", "bavolt", "baamps", "bawatt", "batemp", "baperc", "bastat", "eptemp1", "eptemp2"),
    *("epstat", "dcvolt", "dcamps", "dcwatt", "pvkwhtotal", "dckwhtotal", "pvkwhtoday", "dckwhtoday"),
}


def says(check: str, words: dict[int, int]) -> float | None:
    """What the old program's check would print of the recorded charger with these words."""
    alias = TRACER.aliases[check]
    value = with_words(words)[alias.point]
    assert value is None or isinstance(value, int | float)
    return None if value is None else round(value * alias.times, 6)


# Fault 1: scaled before the high word is shifted, so power wrapped at 655.36 W.
def test_power_does_not_wrap_at_655_w() -> None:
    assert says("pvwatt", {0x3100: 9561, 0x3101: 2175, 0x3102: 0x2C80, 0x3103: 3}) == 2080.0
    words = {0x3005: 10000, 0x3104: 2889, 0x3105: 7200, 0x3106: 0x2C80, 0x3107: 3, 0x311D: 2400}
    assert says("bawatt", words) == 2080.0
    assert says("dcwatt", {0x310C: 1300, 0x310D: 5400, 0x310E: 70200 & 0xFFFF, 0x310F: 1}) == 702.0


# Fault 2: a high word that failed was taken for -2, and -131072 W entered the sum.
def test_a_word_that_is_missing_makes_no_value() -> None:
    for missing in (0x3102, 0x3103):
        tables = recorded()
        del tables[4][missing]
        values, reasons = understood(tables)
        assert (values["pv_power"], reasons["pv_power"]) == (None, Reason.NOT_SUPPORTED)
        assert values["battery_voltage"] == 12.96


# Fault 3: the high words of energies were ignored, so they wrapped at 655.36 kWh.
def test_energies_do_not_wrap_at_655_kwh() -> None:
    assert says("pvkwhtotal", {0x3312: 0x1000, 0x3313: 2}) == 1351.68
    assert says("dckwhtotal", {0x330A: 0x1000, 0x330B: 2}) == 1351.68
    assert says("pvkwhtoday", {0x330C: 0x1000, 0x330D: 2}) == 1351.68
    assert says("dckwhtoday", {0x3304: 0x1000, 0x3305: 2}) == 1351.68


# Fault 4: status words were divided by 100.
def test_status_words_are_words() -> None:
    assert says("bastat", {0x3200: 0x0003}) == 3
    assert says("epstat", {0x3201: 0x000B}) == 11


# Fault 5: temperatures were unsigned, so -1 °C was 654 °C.
def test_temperatures_have_a_sign() -> None:
    assert says("batemp", {0x3110: 0xFF9C}) == -1.0
    assert says("eptemp1", {0x3111: 0xFF9C}) == -1.0
    assert says("eptemp2", {0x3112: 0xFF9C}) == -1.0


# Fault 6: an error was a value.
def test_a_broken_answer_is_no_value() -> None:
    block = next(each for each in plan(TRACER.registers, TRACER.limits, COST) if each.address == 0x3100)
    request = Slot(block, 5.0, 0.0).request
    with pytest.raises(BadAnswer):
        request.decode(bytes((4, 34)) + bytes(34))
    image = Image(TRACER)
    image.add([Slot(block, 5.0, 0.0)])
    values, reasons = image.snapshot()
    assert values["pv_power"] is None and reasons["pv_power"] is Reason.STALE


def test_every_check_of_the_old_program_is_known() -> None:
    assert set(TRACER.aliases) == CHECKS
    for driver in (TRACER, DUORACER):
        assert all(alias.point in driver.points() for alias in driver.aliases.values())
    assert not {"dcvolt", "dcamps", "dcwatt", "dckwhtotal", "dckwhtoday"} & set(DUORACER.aliases)
    assert says("baperc", {0x311A: 48}) == 0.48
    assert says("pvvolt", {0x3100: 197}) == 1.97


@pytest.mark.parametrize(
    ("words", "doubted"),
    [
        ({0x3100: 25001}, {"pv_voltage"}),
        ({0x3100: 25000}, set()),
        ({0x3101: 2401, 0x3100: 100}, {"pv_current"}),
        ({0x3101: 2400, 0x3100: 100}, set()),
        ({0x3105: 2401, 0x3106: 31100}, {"battery_current"}),
        ({0x3104: 599}, {"battery_voltage"}),
        ({0x3104: 600}, set()),
        ({0x3104: 1921}, {"battery_voltage"}),
        ({0x3104: 1920}, set()),
        ({0x311D: 4800, 0x3104: 1921}, {"battery_voltage", "battery_voltage_b"}),
        ({0x3100: 10000, 0x3101: 200, 0x3102: 15400}, {"pv_power"}),
        ({0x3100: 10000, 0x3101: 200, 0x3102: 15600}, set()),
        ({0x3100: 10000, 0x3101: 200, 0x3102: 0, 0x3103: 4}, {"pv_power"}),
        ({0x3100: 10000, 0x3101: 200, 0x3102: 53}, {"pv_power"}),
        ({0x310C: 1300, 0x310D: 1000, 0x310E: 100}, {"load_power"}),
        ({0x3008: 1, 0x3100: 2000, 0x3101: 1000, 0x3102: 13000}, set()),
        ({0x3110: 12001}, {"battery_probe_temperature"}),
        ({0x3110: 0xEE6B}, {"battery_probe_temperature"}),
        ({0x311A: 101}, {"soc_estimate"}),
    ],
)
def test_what_cannot_be_true_is_no_value(words: dict[int, int], doubted: set[str]) -> None:
    tables = recorded()
    tables[4] |= {0x3110: 2600, 0x331A: 1276, 0x331C: 0} | words
    values, reasons = understood(tables)
    assert {name for name, reason in reasons.items() if reason is Reason.OUT_OF_RANGE} == doubted
    assert all(values[name] is None for name in doubted)
    assert (values["battery_temperature"] is None) is ("battery_probe_temperature" in doubted)


@pytest.mark.parametrize(
    ("volts", "amps", "watts"),
    [(17.0, 0.01, 0.9), (60.0, 0.2, 2.5), (95.0, 0.3, 12.0), (20.0, 0.0, 4.9), (36.0, 1, 30)],
)
def test_dawn_is_believed(volts: float, amps: float, watts: float) -> None:
    """Voltage and current are coarse while the charger wakes up."""
    words = {0x3100: round(100 * volts), 0x3101: round(100 * amps), 0x3102: round(100 * watts)}
    values = with_words(words)
    assert (values["pv_voltage"], values["pv_current"], values["pv_power"]) == (volts, amps, watts)


def test_a_doubted_value_returns_when_it_no_longer_is_one() -> None:
    image = Image(TRACER)
    slots = [Slot(block, 5.0, 0.0) for block in plan(TRACER.registers, TRACER.limits, COST) if block.address == 0x3100]
    image.add(slots)
    words = [1000, 200, 0, 4, 1300, 0, 0, 0, 1300, 0, 0, 0, 1300, 0, 0, 0, 2600, 2600]
    image.answer(slots[0], words, 0.0)
    assert image.snapshot()[0]["pv_power"] is None
    image.answer(slots[0], [1000, 200, 2000, 0, *words[4:]], 5.0)
    assert image.snapshot()[0]["pv_power"] == 20.0


WORD = st.integers(0, 0xFFFF) | st.sampled_from((0, 1, 100, 2500, 1200, 2400, 0x7FFF, 0x8000, 0xFF9C, 0xFFFF))


@pytest.mark.parametrize("driver", [TRACER, DUORACER], ids=lambda driver: driver.name)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_garbage_never_raises_and_never_becomes_an_impossible_value(driver: Driver, data: st.DataObject) -> None:
    image = Image(driver)
    slots = [Slot(block, 5.0, 0.0) for block in plan(driver.registers, driver.limits, COST)]
    image.add(slots)
    for slot in slots:
        bits = slot.block.table <= 2
        count = slot.block.count
        image.answer(
            slot, data.draw(st.lists(st.integers(0, 1) if bits else WORD, min_size=count, max_size=count)), 0.0
        )
    values, reasons = image.snapshot()
    points = driver.points()
    assert set(values) <= set(points)
    for name, value in values.items():
        point = points[name]
        if value is None:
            assert name in reasons
            continue
        assert isinstance(value, str) is (point.kind is Kind.TEXT), name
        if isinstance(value, int | float):
            assert point.low is None or value >= point.low, name
            assert point.high is None or value <= point.high, name
    assert values["battery_voltage"] is None or 6.0 <= float(values["battery_voltage"]) <= 384.0
    assert values["pv_voltage"] is None or float(values["pv_voltage"]) <= 250.0
    assert values["charger_state"] in (0, 2, 3, 4, 5, 7)


def any_value(point: Point) -> st.SearchStrategy[Value]:
    if point.kind is Kind.TEXT:
        return st.none() | st.text(max_size=5)
    if point.kind is Kind.NUMBER:
        return st.none() | st.floats(-1e6, 1e6)
    return st.none() | st.integers(-1, 2**16)


@given(st.fixed_dictionaries({}, optional={name: any_value(point) for name, point in TRACER.points().items()}))
def test_any_values_can_be_concluded_from_and_doubted(values: dict[str, Value]) -> None:
    assert {point.name for point in TRACER.derived} == set(derive(values))
    assert set(doubt(values)) <= set(TRACER.points())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.none() | st.lists(WORD, min_size=12, max_size=12), min_size=8, max_size=8))
def test_recognition_survives_any_answers(answers: list[list[int] | None]) -> None:
    questions = TRACER.recognise()
    ask = next(questions)
    verdict: object = None
    for words in answers:
        request = ask.request
        count = getattr(request, "count", None)
        try:
            ask = questions.send(None if words is None or count is None else tuple(words[:count]))
        except StopIteration as stop:
            verdict = stop.value
            break
    if isinstance(verdict, Recognised):
        assert verdict.driver.name == "epever-tracer"
        assert verdict.identity.serial is None
    assert verdict is not None
