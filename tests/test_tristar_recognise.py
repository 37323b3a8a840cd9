"""Who is recognised as a TriStar MPPT, and who is refused in words (tristar.md §1.6, §4.4, §8)."""

import random
from collections.abc import Mapping

import pytest

from devices_stage import PRODUCT, TRISTAR, TRISTAR_600, Ear, alone, capture_c, memory, tristar
from heliobus.devices.driver import Driver, Recognised
from heliobus.model.reading import Health, Reading
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import ILLEGAL_ADDRESS, RefusalError, SilenceError, SimDevice
from heliobus.sim.faults import Framing
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar600 import SimTriStar600
from heliobus.sim.virtual_time import run_virtual

NAME_150, NAME_600 = "tsmppt10170296", "tsmppt600v1017"


class Silent43(SimCapture):
    """A device, or a gateway before it, that says nothing to function 43."""

    def identification(self) -> Mapping[int, str]:
        raise SilenceError


class Refusing(SimCapture):
    """Refuses to read some addresses, with an exception, or once with another one."""

    def __init__(self, words: Mapping[int, int], refused: range, code: int = ILLEGAL_ADDRESS, times: int = 10**9):
        super().__init__(words, objects=PRODUCT, coils={})
        self.refused, self.code, self.times = refused, code, times

    def read_words(self, function: int, address: int, count: int) -> list[int]:
        if address in self.refused and self.times:
            self.times -= 1
            raise RefusalError(self.code)
        return list(super().read_words(function, address, count))


def netbios(name: str) -> dict[int, int]:
    raw = name.encode().ljust(16, b"\0")
    return {0x1029 + index: raw[2 * index] | raw[2 * index + 1] << 8 for index in range(8)}


def ask(device: SimDevice, driver: Driver = TRISTAR, framing: Framing = Framing.TCP, seconds: float = 60.0) -> Ear:
    """What a poller makes of `device` until there is a reading or a verdict against it."""

    async def run() -> Ear:
        async with alone(memory(device, framing), framing, driver=driver) as ear:
            await ear.wait(lambda: bool(ear.readings or ear.strangers or ear.silences), seconds)
            return ear

    return run_virtual(run())


def first(device: SimDevice, driver: Driver = TRISTAR, framing: Framing = Framing.TCP) -> tuple[Recognised, Reading]:
    ear = ask(device, driver, framing)
    assert not ear.strangers
    return ear.recognised_as[0], ear.readings[0][1]


@pytest.mark.parametrize("product", ["TS-MPPT-30", "TS-MPPT-45", "TS-MPPT-60", "TS-MPPT-60M"])
@pytest.mark.parametrize("framing", list(Framing))
def test_the_150_v_family_is_recognised_by_its_product_code(product: str, framing: Framing) -> None:
    recognised, reading = first(tristar(objects={**PRODUCT, 1: product}), framing=framing)
    assert recognised.driver is TRISTAR
    assert recognised.identity.model == product.replace("TS-MPPT-", "TriStar MPPT ")
    assert recognised.identity.serial == "10170296"
    assert reading.values["battery_voltage"] == 13.43


@pytest.mark.parametrize("product", ["TS-MPPT-60-600V-48", "TS-MPPT-60-600V-120", "TS-MPPT-60-600V-48-DB"])
def test_the_600_v_model_gets_its_own_declaration(product: str) -> None:
    words = {**capture_c(), 0x0018: 0x4A80, 0x0006: 4}
    recognised, reading = first(SimCapture(words, objects={**PRODUCT, 1: product}, coils={}))
    assert recognised.driver is TRISTAR_600
    assert "600V" in recognised.identity.model
    assert reading.values["battery_voltage"] == 13.0


def test_the_driver_of_the_600_v_model_refuses_a_150_v_one_and_says_which_it_needs() -> None:
    [why] = ask(tristar(), TRISTAR_600).strangers
    assert "'morningstar-tristar-mppt'" in why


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({0: "Morningstar Corp.", 1: "PS-MPPT-25"}, "PS-MPPT-25"),
        ({0: "Morningstar Corp.", 1: "TS-60"}, "TS-60"),
        ({0: "Morningstar Corp.", 1: "SS-MPPT-15L"}, "SS-MPPT-15L"),
        ({0: "Morningstar Corp.", 1: "GS-MPPT-60M-200V"}, "another register map"),
        ({0: "EPsolar Tech co., Ltd", 1: "Tracer4215BN", 2: "V02.13"}, "EPsolar"),
        ({0: "Schneider", 1: "TS-MPPT-60"}, "not a Morningstar"),
        ({0: "ACME", 1: ""}, "a ACME, not"),
    ],
)
def test_another_product_is_refused_in_words_even_with_our_registers(objects: dict[int, str], words: str) -> None:
    ear = ask(tristar(objects=objects))
    assert not ear.recognised_as and not ear.readings
    assert words in ear.strangers[0]
    assert "\n" not in ear.strangers[0]


@pytest.mark.parametrize("silent", [False, True])
def test_without_43_14_the_netbios_name_tells(silent: bool) -> None:
    kind = Silent43 if silent else SimCapture
    words = {**capture_c(), 0: 0, 2: 0}
    recognised, _ = first(kind({**words, **netbios(NAME_150)}, coils={}))
    assert (recognised.driver, recognised.identity.model) == (TRISTAR, "TriStar MPPT 60")
    recognised, _ = first(kind({**words, **netbios(NAME_600)}, coils={}))
    assert (recognised.driver, recognised.identity.model) == (TRISTAR_600, "TriStar MPPT 600V")


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("framing", list(Framing))
def test_without_43_14_and_network_the_scaling_tells(silent: bool, framing: Framing) -> None:
    ranges = [(0, 0x5B), (0xE000, 0xE021), (0xE080, 0xE0CD)]
    device = (Silent43 if silent else SimCapture)(capture_c(), ranges=ranges, coils={})
    recognised, reading = first(device, framing=framing)
    assert (recognised.driver, recognised.identity.serial) == (TRISTAR, "10170296")
    assert reading.reasons["ip_address"] == "not supported"


@pytest.mark.parametrize(("high", "low", "volts"), [(0x007B, 0xE041, 13.25), (0x004E, 0x03A6, 8.34)])
def test_the_specifications_worked_examples_are_read_too(high: int, low: int, volts: float) -> None:
    words = {**capture_c(), 0x0000: high, 0x0001: low, 0x0018: 0x0DB0}
    recognised, reading = first(SimCapture(words, ranges=[(0, 0x5B)], coils={}))
    assert recognised.driver is TRISTAR
    assert reading.values["battery_voltage"] == volts


def test_a_version_that_was_not_recorded_is_unknown() -> None:
    words = {**capture_c(), 0x0004: 0, 0xE0CD: 0}
    recognised, _ = first(SimCapture(words, objects=PRODUCT, coils={}))
    assert (recognised.identity.firmware, recognised.identity.hardware) == (None, None)


def test_one_lost_answer_to_43_14_does_not_hide_the_product() -> None:
    class Once(SimCapture):
        lost = 1

        def identification(self) -> Mapping[int, str]:
            if self.lost:
                self.lost -= 1
                raise SilenceError
            return super().identification()

    device = Once(capture_c(), objects={**PRODUCT, 1: "TS-MPPT-60-600V-48"}, coils={})
    assert first(device)[0].driver is TRISTAR_600


def test_a_device_of_zeros_is_refused() -> None:
    [why] = ask(SimCapture({}, coils={})).strangers
    assert "no TriStar MPPT" in why and "(0, 0, 0, 0)" in why


def test_a_device_that_has_no_such_registers_is_refused() -> None:
    [why] = ask(SimCapture({}, ranges=[(0x3000, 0x3100)])).strangers
    assert "cannot be read" in why


def test_devices_of_random_words_are_refused() -> None:
    rng = random.Random(5)
    for _ in range(25):
        words = {address: rng.randrange(0x10000) for address in (*range(0x60), *range(0x1000, 0x1040))}
        ear = ask(SimCapture(words, coils={}))
        assert ear.strangers and not ear.recognised_as


def test_a_meter_whose_first_registers_look_a_little_like_scaling_is_refused() -> None:
    assert ask(SimCapture({0: 124, 1: 0, 2: 79, 3: 5}, coils={})).strangers


def test_a_stranger_is_asked_again_but_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> Ear:
        async with alone(memory(SimCapture({}, coils={}))) as ear:
            await ear.wait(lambda: len(ear.strangers) == 5)
            return ear

    run_virtual(run())
    assert len([record for record in caplog.records if record.name == "heliobus.devices"]) == 1


@pytest.mark.parametrize("refused", [range(0xE0C0, 0xE0CE), range(0xE000, 0xE100)])
def test_a_serial_number_that_cannot_be_read_is_none_and_the_device_still_works(refused: range) -> None:
    recognised, reading = first(Refusing(capture_c(), refused))
    assert recognised.identity.serial is None
    assert recognised.identity.firmware == "42"
    assert reading.values["battery_voltage"] == 13.43
    assert reading.health is Health.OK


@pytest.mark.parametrize("serial", [(0, 0, 0, 0), (0xFFFF,) * 4, (0x0101,) * 4])
def test_a_serial_number_that_is_no_text_is_none(serial: tuple[int, ...]) -> None:
    recognised, _ = first(tristar({0xE0C0 + index: word for index, word in enumerate(serial)}))
    assert recognised.identity.serial is None


@pytest.mark.parametrize("code", [5, 6, 10, 11])
def test_a_device_that_is_busy_is_asked_for_its_serial_number_again(code: int) -> None:
    """Else it would be taken for a device without one, and begin a new life under another key."""
    recognised, _ = first(Refusing(capture_c(), range(0xE0C0, 0xE0C1), code, times=2))
    assert recognised.identity.serial == "10170296"


@pytest.mark.parametrize("framing", list(Framing))
def test_a_600_v_simulator_reads_right(framing: Framing) -> None:
    device = SimTriStar600(serial="20111222", hour=12.0, cloudiness=0.0)
    device.advance(600)
    recognised, reading = first(device, framing=framing)
    charger, values = device.charger, reading.values
    assert recognised.driver is TRISTAR_600
    assert (recognised.identity.serial, recognised.identity.model) == ("20111222", "TriStar MPPT 60 600V 48")

    def close(name: str, truth: float, share: float = 0.02) -> None:
        assert values[name] == pytest.approx(truth, rel=share, abs=0.1), name

    close("battery_terminal_voltage", charger.terminal_volts)
    close("battery_current", charger.amps, 0.2)
    close("pv_voltage", charger.array_volts, 0.1)
    close("sweep_voc", charger.sweep.voc)
    close("sweep_vmp", charger.sweep.vmp)
    assert charger.sweep.voc > 300
    assert values["charge_state"] == int(charger.stage)
    assert (values["nominal_voltage"], values["system_multiplier"]) == (48, 4)
    assert values["operating_hours"] == 30000
    assert values["charge_total_counter"] == pytest.approx(device.logger.counters.ah_total, abs=0.2)
    assert values["rail_12v"] == pytest.approx(13.02, abs=0.02)
    assert values["external_12v"] == pytest.approx(12.11, abs=0.02)


def test_a_600_v_device_without_a_sensor_has_no_temperature() -> None:
    _, reading = first(SimTriStar600(rts=False))
    assert (reading.values["battery_temperature"], reading.reasons["rts_temperature"]) == (None, "invalid")


def test_the_600_v_model_has_its_own_words_for_faults_and_alarms() -> None:
    device = SimTriStar600()
    for bit in (12, 13, 22):
        device.inject_fault(bit)
    device.inject_alarm(25)
    _, reading = first(device)
    assert reading.values["faults"] == 1 << 12 | 1 << 13 | 1 << 22
    assert reading.values["fault_text"] == (
        "fault: RS-232 or meter bridge; fault: battery low voltage disconnect; fault: FPGA version; alarm: Ethernet"
    )


@pytest.mark.parametrize(
    ("word", "multiplier"), [(4, 4), (10, 10), (0x4400, 4), (0x4900, 10), (0, None), (0xFFFF, None)]
)
def test_the_multiplier_of_the_600_v_model(word: int, multiplier: int | None) -> None:
    device = SimCapture({**capture_c(), 0x0006: word}, objects={**PRODUCT, 1: "TS-MPPT-60-600V-48"}, coils={})
    _, reading = first(device)
    assert reading.values["system_multiplier"] == multiplier
    assert reading.values["nominal_voltage"] == (None if multiplier is None else 12 * multiplier)


@pytest.mark.parametrize("system", [12, 24, 48])
def test_a_150_v_simulator_reads_right(system: int) -> None:
    device = SimTriStar(system=system, hour=12.0, cloudiness=0.0)
    device.advance(600)
    recognised, reading = first(device)
    values, charger = reading.values, device.charger
    assert recognised.driver is TRISTAR
    assert values["nominal_voltage"] == system
    assert values["battery_terminal_voltage"] == pytest.approx(charger.terminal_volts, abs=0.2)
    assert values["pv_power"] == pytest.approx(charger.watts, rel=0.1)
    assert values["charge_state"] == int(charger.stage)
    assert values["set_absorption_voltage"] == pytest.approx(14.4 * system / 12, rel=0.03)
    assert None not in {values[name] for name in ("ip_address", "mac_address", "netbios_name", "stored_energy_total")}
