"""Who is recognised as an EPever charger, and who is refused in words (epever.md §1, §6)."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from devices_stage import Ear, alone, capture_c, memory, stop
from devices_stage import tristar as tristar_150
from epever_stage import AN_24, BN_OBJECTS, COST, DUORACER, TRACER, RecordedTracer, recorded
from heliobus.devices.driver import Driver, Recognised
from heliobus.devices.poll import Poller
from heliobus.model.reading import Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import ILLEGAL_ADDRESS, RefusalError, SimDevice
from heliobus.sim.faults import Framing
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.rtu import RtuFramer, frame_silence

PZEM_AC = (0x08D1, 0x006C, 0, 0x00F4, 0, 0x0026, 0, 0x01F4, 0x0064, 0)
PZEM_DC = (0x0540, 0x000A, 0x000D, 0, 2, 0, 0, 0)


class Meter(SimDevice):
    """Answers the first input registers only, as a PZEM does."""

    def __init__(self, words: Sequence[int]) -> None:
        self.words = words

    def advance(self, seconds: float) -> None:
        """It stands still."""

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        if function != 4 or address + count > len(self.words):
            raise RefusalError(ILLEGAL_ADDRESS)
        return self.words[address : address + count]


def ask(device: SimDevice, driver: Driver = TRACER) -> Ear:
    """What a poller makes of `device` on a line of 115200 baud, until there is a reading or a verdict."""

    async def run() -> Ear:
        link = memory(device, Framing.RTU, bits_per_second=115200, latency=0.005)
        bus, ear = Bus(link, RtuFramer(frame_silence(115200))), Ear()
        poller = Poller(bus, 1, driver, COST, ear, name="charger", period=5.0)
        tasks = [asyncio.create_task(bus.run()), asyncio.create_task(poller.run())]
        try:
            await ear.wait(lambda: bool(ear.readings or ear.strangers or ear.silences), 60.0)
        finally:
            await stop(tasks)
        return ear

    return run_virtual(run())


def recognised(device: SimDevice, driver: Driver = TRACER) -> Recognised:
    ear = ask(device, driver)
    assert not ear.strangers and not ear.silences
    return ear.recognised_as[0]


def refusal(device: SimDevice, driver: Driver = TRACER) -> str:
    ear = ask(device, driver)
    assert not ear.recognised_as and not ear.readings
    assert "\n" not in ear.strangers[0]
    return ear.strangers[0]


def bn(objects: Mapping[int, str] | None = None, **options: bool) -> RecordedTracer:
    """The recorded Tracer2215BN under another name, or under none."""
    return RecordedTracer(recorded(), objects, **options)


def test_the_recorded_charger_is_recognised_by_its_name() -> None:
    found = recognised(bn(BN_OBJECTS))
    assert found.driver is TRACER
    identity = found.identity
    assert (identity.vendor, identity.model) == ("EPever", "Tracer2215BN")
    assert (identity.serial, identity.firmware) == ("0002201301200045", "V02.05+V07.12")
    assert identity.details == {"family": "Tracer BN, BP, BPL"}


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_without_a_name_the_rated_values_tell(silent: bool) -> None:
    found = recognised(bn(silent=silent))
    assert found.driver is TRACER
    assert (found.identity.model, found.identity.serial, found.identity.firmware) == (
        "MPPT charger 20 A, 150 V",
        None,
        None,
    )


def test_without_name_and_rated_values_the_system_voltage_tells() -> None:
    """A Tracer 3210A refuses every read of the rated values."""
    tables = recorded()
    tables[4] = {address: word for address, word in tables[4].items() if address >= 0x3100}
    ear = ask(RecordedTracer(tables))
    assert ear.recognised_as[0].identity.model == "charger"
    assert ear.readings[0][1].reasons["rated_current"] is Reason.NOT_SUPPORTED
    assert ear.readings[0][1].values["battery_voltage"] == 12.96


def test_a_pwm_charger_without_a_name_is_asked_like_one() -> None:
    tables = recorded()
    tables[4] |= {0x3008: 1, 0x3000: 5000, 0x3005: 1000}
    del tables[4][0x3202]
    device = RecordedTracer(tables, most=15)
    found = recognised(device)
    assert found.identity.model == "PWM charger 10 A, 50 V"
    assert found.driver.limits.max_count == 12
    assert not [each for each in device.refused if each[2] > 12]
    assert (4, 0x3200, 3) not in device.refused


@pytest.mark.parametrize("model", ["LS1024B", "VS4524BN"])
def test_a_pwm_charger_is_told_by_its_name(model: str) -> None:
    found = recognised(bn({**BN_OBJECTS, 1: model}))
    assert found.driver.name == "epever-tracer" and found.driver.limits.max_count == 12


def test_a_charger_that_names_itself_needs_no_likely_voltage() -> None:
    tables = recorded()
    tables[4] |= {0x3104: 0}
    assert recognised(RecordedTracer(tables, BN_OBJECTS)).identity.model == "Tracer2215BN"
    assert "0x3100" in refusal(RecordedTracer(tables))


@pytest.mark.parametrize("serial", ["", "0000000000000000", "12345", "ABCDEFGHIJKLMNOP", "0002201301200045x"])
def test_what_is_no_serial_number_is_none(serial: str) -> None:
    objects = {**BN_OBJECTS, 3: serial} if serial else {number: BN_OBJECTS[number] for number in (0, 1, 2)}
    assert recognised(bn(objects)).identity.serial is None


def test_a_duoracer_gets_its_own_declaration() -> None:
    objects = {**BN_OBJECTS, 1: "DR3210N"}
    for driver in (TRACER, DUORACER):
        assert recognised(bn(objects), driver).driver is DUORACER
    assert "needs driver = 'epever-tracer'" in refusal(bn(BN_OBJECTS), DUORACER)
    assert "not known to be a DuoRacer" in refusal(bn(), DUORACER)


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({0: "Morningstar Corp.", 1: "TS-MPPT-60", 2: "v1"}, "Morningstar Corp. TS-MPPT-60, not an EPever charger"),
        ({0: "Schneider", 1: "Tracer2215BN"}, "Schneider Tracer2215BN, not"),
        ({0: "ACME", 1: ""}, "a ACME, not"),
        ({0: "EPsolar Tech co., Ltd", 1: "UP3000-HM5041"}, "another register map"),
        ({0: "EPEVER", 1: "HI3522"}, "another register map"),
    ],
)
def test_another_product_is_refused_in_words_even_with_our_registers(objects: dict[int, str], words: str) -> None:
    assert words in refusal(bn(objects))


def test_other_devices_are_said_to_be_what_they_are() -> None:
    assert "PZEM AC meter" in refusal(Meter(PZEM_AC))
    assert "PZEM AC meter" in refusal(Meter((1204, 0, 0, 0, 0, 0, 0, 601, 0, 0)))
    assert "PZEM DC meter" in refusal(Meter(PZEM_DC))
    assert "refuses registers 0x3100" in refusal(Meter((0,) * 8))
    assert "refuses registers 0x3100" in refusal(Meter((180, 0, 80, 0, 0x42, 0, 0, 0)))
    ranges = [(0, 0x5B), (0xE000, 0xE021), (0xE080, 0xE0CD)]
    assert "Morningstar" in refusal(tristar_150(ranges=ranges))
    assert "refuses registers 0x3100" in refusal(SimCapture(capture_c(), ranges=ranges, coils={}))


def test_a_device_that_reads_the_same_everywhere_is_none_of_ours() -> None:
    for word in (0, 1, 1200, 2400, 0x7FFF, 0xFFFF):
        words = dict.fromkeys([*range(0x3000, 0x3020), *range(0x3100, 0x3120), 0x3200, 0x3201], word)
        assert "no EPever charger" in refusal(SimCapture(words, coils={}))


def test_random_registers_are_none_of_ours() -> None:
    dice = random.Random(7)
    for _ in range(40):
        words = {address: dice.randrange(0x10000) for address in range(0x3000, 0x3210)}
        assert "no EPever charger" in refusal(SimCapture(words, coils={}))


def test_a_broken_text_is_no_reason_to_fail() -> None:
    found = recognised(bn({0: "EPsolar\0Tech", 1: "Tracer\x074210AN", 2: "\x7f", 3: "\0\0"}))
    assert (found.identity.model, found.identity.firmware, found.identity.serial) == ("Tracer4210AN", None, None)


def test_the_recorded_charger_is_read_completely_and_nothing_asked_twice_in_vain() -> None:
    device = bn(BN_OBJECTS)
    reading = ask(device).readings[0][1]
    assert (reading.values["battery_voltage"], reading.values["soc_estimate"]) == (12.96, 70.0)
    assert reading.values["set_timer_2_off"] == "06:00:00"
    assert len(set(device.refused)) == len(device.refused)
    unsupported = {name for name, reason in reading.reasons.items() if reason is Reason.NOT_SUPPORTED}
    assert unsupported == {
        "load_rated_voltage",
        "load_rated_power",
        "load_manual_control",
        "load_default",
        "set_charge_temperature_min",
        "set_discharge_temperature_min",
        "set_main_supply",
        "large_model_current_limit",
        "set_current_limit",
        "lithium_protection",
    }
    assert len(device.refused) == len(unsupported)
    assert not [each for each in device.refused if each[0] == 3 and 0x9100 <= each[1] <= 0x9106]


def test_the_24_v_charger_is_read_as_far_as_it_was_recorded() -> None:
    tables = recorded(AN_24)
    # Its recording lacks what every charger answers first.
    tables[4] |= {0x3101: 238, 0x3104: 2540, 0x3105: 880, 0x3106: 22350, 0x3107: 0}
    tables[4] |= dict.fromkeys(range(0x3108, 0x3110), 0) | {0x3111: 3400, 0x3200: 0, 0x3202: 1}
    reading = ask(RecordedTracer(tables, {0: "EPsolar Tech co., Ltd", 1: "Tracer4215AN"})).readings[0][1]
    assert (reading.values["charger_state"], reading.values["pv_power"]) == (3, 228.4)
    assert (reading.values["battery_temperature"], reading.values["nominal_voltage"]) == (30.05, 24)
    assert reading.values["error_ids"] == ""


@pytest.mark.parametrize(
    ("family", "model", "driver"),
    [
        ("BN", "Tracer4215BN", "epever-tracer"),
        ("AN", "Tracer4210AN", "epever-tracer"),
        ("strict-AN", "Tracer4210AN", "epever-tracer"),
        ("LS-B", "LS1024B", "epever-tracer"),
        ("G3", "Tracer4210AN", "epever-tracer"),
        ("DR", "DR3210N", "epever-duoracer"),
    ],
)
def test_every_simulated_family_is_read(family: str, model: str, driver: str) -> None:
    ear = ask(SimTracer(1, model=model, family=family, system=24))
    reading = ear.readings[0][1]
    assert ear.recognised_as[0].driver.name == driver
    assert (reading.values["nominal_voltage"], reading.values["charger_state"]) == (24, 3)
    assert reading.values["error_ids"] == "" and reading.values["pv_power"] is not None
    assert Reason.OUT_OF_RANGE not in reading.reasons.values()
    missing = {name for name, reason in reading.reasons.items() if reason is not Reason.NOT_SUPPORTED}
    assert missing <= {"battery_temperature", "remote_temperature", "ambient_temperature"}


def test_the_tristar_driver_takes_no_tracer() -> None:
    async def run() -> Ear:
        from devices_stage import TRISTAR

        async with alone(memory(bn(BN_OBJECTS), Framing.RTU), Framing.RTU, driver=TRISTAR) as ear:
            await ear.wait(lambda: bool(ear.strangers or ear.readings), 60.0)
            return ear

    assert "EPsolar" in run_virtual(run()).strangers[0]
