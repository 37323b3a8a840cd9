"""What the simulated TriStar MPPT does when it is written to: settings, slave control, coils, switch 8, faults."""

import pytest

from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.tristar_logger import Counters
from sim_frames import coils, read, request

FAULTS, STATE = 0x2C, 0x32


def write(device: SimTriStar, address: int, word: int) -> bytes | None:
    return device.answer(request(6, address, word))


def coil(device: SimTriStar, address: int, on: bool = True) -> bytes | None:
    return device.answer(request(5, address, 0xFF00 if on else 0))


@pytest.fixture
def noon() -> SimTriStar:
    device = SimTriStar(hour=12.0, cloudiness=0.0)
    device.advance(120.0)
    assert device.stage is Stage.MPPT
    return device


def test_switch_8_off_blocks_writes_over_the_network_only() -> None:
    device = SimTriStar(network_writes=False)
    device.advance(60.0)
    setting, disconnect = request(6, 0x58, 0x0400), request(5, 2, 0xFF00)
    assert device.answer(setting) == b"\x86\x01"
    assert device.answer(disconnect) == b"\x85\x01"
    assert coils(device, 0, 3) == [False, False, False]
    assert device.answer(setting, serial=True) == setting
    assert device.answer(disconnect, bridged=True) == disconnect
    assert coils(device, 2, 1) == [True]


def test_an_eeprom_write_stops_charging_until_a_reset(noon: SimTriStar) -> None:
    reference = read(noon, 0x33)
    assert write(noon, 0xE000, 0x0A3D - 60) == request(6, 0xE000, 0x0A3D - 60)
    assert noon.eeprom_writes == 1
    assert read(noon, FAULTS) == [1 << 6]
    assert read(noon, STATE) == [4]
    assert read(noon, 0x1C) == [0]
    coil(noon, 0x14)
    noon.advance(60.0)
    assert read(noon, FAULTS) == [1 << 6], "clearing faults is not enough"
    assert noon.charger.settings.absorption == pytest.approx(28.8, abs=0.01), "not active before the reset"
    coil(noon, 0xFF)
    noon.advance(60.0)
    assert read(noon, FAULTS) == [0]
    assert noon.stage is Stage.MPPT
    assert read(noon, 0x33)[0] == pytest.approx(reference[0] - 120, abs=3)


def test_presets_ignore_the_eeprom() -> None:
    device = SimTriStar(program=0b010)
    assert device.charger.settings.absorption == pytest.approx(28.6, abs=0.01)
    device.eeprom[0xE000] = 1
    device.reset()
    assert device.charger.settings.absorption == pytest.approx(28.6, abs=0.01)


def test_a_moved_switch_is_a_fault_until_a_reset(noon: SimTriStar) -> None:
    noon.set_switches(noon.state.switches ^ 0x80)
    assert read(noon, FAULTS) == [1 << 5]
    coil(noon, 0x14)
    assert read(noon, FAULTS) == [1 << 5]
    noon.reset()
    noon.advance(2.0)
    assert read(noon, FAULTS) == [0]
    assert read(noon, 0x30)[0] & 0x80 == 0


def test_injected_faults_stop_charging_and_can_be_cleared(noon: SimTriStar) -> None:
    noon.inject_fault(7)
    assert noon.stage is Stage.FAULT
    noon.advance(600.0)
    assert noon.charger.amps == 0.0
    coil(noon, 0x14)
    noon.advance(60.0)
    assert noon.stage is Stage.MPPT


def test_slave_control_limits_current_and_times_out(noon: SimTriStar) -> None:
    assert write(noon, 0x58, 2048) is not None
    assert noon.stage is Stage.SLAVE
    assert noon.charger.amps == pytest.approx(5.0)
    for _ in range(4):
        noon.advance(50.0)
        write(noon, 0x58, 2048)
    assert noon.stage is Stage.SLAVE
    noon.advance(59.0)
    assert noon.stage is Stage.SLAVE
    noon.advance(10.0)
    assert read(noon, FAULTS) == [1 << 11]
    assert noon.stage is Stage.FAULT
    assert noon.charger.amps == 0.0
    write(noon, 0x58, 2048)
    assert read(noon, FAULTS) == [0]
    assert noon.stage is Stage.SLAVE


def test_each_slave_register_must_be_renewed(noon: SimTriStar) -> None:
    write(noon, 0x58, 2048)
    write(noon, 0x59, 5000)
    noon.advance(40.0)
    write(noon, 0x58, 2048)
    noon.advance(40.0)
    assert read(noon, FAULTS) == [1 << 11]


def test_slave_control_ends_with_a_negative_value_in_each_register(noon: SimTriStar) -> None:
    write(noon, 0x58, 2048)
    write(noon, 0x59, 5000)
    write(noon, 0x58, 0xFFF0)
    assert noon.stage is Stage.SLAVE
    write(noon, 0x59, 0xFFF0)
    assert noon.stage is Stage.MPPT
    noon.advance(300.0)
    assert read(noon, FAULTS) == [0]


def test_slave_voltage_is_exact_without_temperature_compensation(noon: SimTriStar) -> None:
    write(noon, 0x59, 4733)
    assert read(noon, 0x33) == [4733]


def test_zero_neither_starts_nor_renews_slave_control(noon: SimTriStar) -> None:
    write(noon, 0x58, 0)
    assert noon.stage is Stage.MPPT
    write(noon, 0x58, 2048)
    noon.advance(40.0)
    write(noon, 0x58, 0)
    noon.advance(30.0)
    assert read(noon, FAULTS) == [1 << 11]


def test_a_fixed_array_voltage_ends_tracking(noon: SimTriStar) -> None:
    word = round(50.0 * 32768 / 180)
    write(noon, 0x5A, word)
    assert noon.stage is Stage.FIXED
    assert read(noon, 0x1B) == [word]
    write(noon, 0x5A, 0)
    assert noon.stage is Stage.MPPT
    write(noon, 0x5B, 0xFFF0)
    assert noon.stage is Stage.FIXED
    assert noon.charger.watts < 20.0, "99.98 % of Voc is practically no charging"


def test_disconnect_holds_until_taken_back_or_reset(noon: SimTriStar) -> None:
    coil(noon, 2)
    assert noon.stage is Stage.DISCONNECT
    assert noon.charger.amps == 0.0
    coil(noon, 2, on=False)
    noon.advance(60.0)
    assert noon.stage is Stage.MPPT
    coil(noon, 2)
    coil(noon, 0xFF)
    noon.advance(60.0)
    assert coils(noon, 0, 3) == [False, False, False]
    assert noon.stage is Stage.MPPT


def test_equalize_runs_and_ends(noon: SimTriStar) -> None:
    noon.world.battery.soc = 0.98
    coil(noon, 0)
    noon.advance(10.0)
    assert noon.stage is Stage.EQUALIZE
    assert read(noon, 0x45)[0] & 2
    noon.advance(1800.0)
    assert read(noon, 0x4E)[0] > 1700
    assert noon.charger.reference > noon.charger.settings.absorption
    coil(noon, 0, on=False)
    noon.advance(60.0)
    assert noon.stage is not Stage.EQUALIZE


def test_equalize_starts_by_the_calendar_with_switch_7_on(noon: SimTriStar) -> None:
    noon.logger.eq_calendar_days = 28.0
    noon.advance(60.0)
    assert coils(noon, 0, 1) == [False]
    noon.state.switches |= 0x40
    noon.advance(10.0)
    assert coils(noon, 0, 1) == [True]
    assert noon.stage is Stage.EQUALIZE
    assert noon.logger.eq_calendar_days < 1


def test_equalize_without_a_voltage_has_no_effect() -> None:
    device = SimTriStar(hour=12.0)
    device.eeprom[0xE007] = 0
    device.reset()
    device.advance(120.0)
    coil(device, 0)
    device.advance(60.0)
    assert coils(device, 0, 1) == [True]
    assert device.stage is Stage.MPPT


def test_high_voltage_disconnect_clears_itself(noon: SimTriStar) -> None:
    noon.charger.settings = type(noon.charger.settings)(
        **{
            name: getattr(noon.charger.settings, name)
            for name in noon.charger.settings.__slots__
            if name not in ("disconnect", "reconnect")
        },
        disconnect=24.0,
        reconnect=23.0,
    )
    noon.advance(10.0)
    assert read(noon, FAULTS) == [1 << 3]
    assert read(noon, 0x2F) == [1 << 12]
    noon.world.battery.soc = 0.0
    noon.advance(20.0)
    assert read(noon, FAULTS) == [1 << 3], "not above the reconnect voltage"


def test_clearing_counters() -> None:
    device = SimTriStar(counters=Counters(10.0, 20.0, 30.0, 40.0, 50.0))
    for address in (0x10, 0x12):
        coil(device, address)
    assert read(device, 0x34, 6) == [0, 0, 0, 300, 0, 50]
    for address in (0x11, 0x18, 0x13, 0x19):
        coil(device, address)
    assert read(device, 0x34, 6) == [0] * 6
    coil(device, 0x10, on=False)
