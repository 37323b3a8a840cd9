"""The charge settings a simulated TriStar MPPT runs on: presets by switches 4-6, or its EEPROM (§2.1, §4.3, §5.4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.sim.tristar_coding import Coding

FIRST, LAST = 0xE000, 0xE021
CUSTOM = 0b111

# SW4 SW5 SW6 as printed, read as a number with SW4 first: absorption, float, equalize for 12 V at 25 °C (§5.4).
_PRESETS: Mapping[int, tuple[float, float, float]] = {
    0b000: (14.00, 13.70, 0.0),
    0b001: (14.15, 13.70, 14.40),
    0b010: (14.30, 13.70, 14.65),
    0b011: (14.40, 13.70, 15.10),
    0b100: (14.60, 13.50, 15.30),
    0b101: (14.70, 13.50, 15.40),
    0b110: (15.40, 13.40, 16.00),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the regulator works with, in actual volts and amperes; seconds; °C."""

    absorption: float
    float_volts: float
    absorption_seconds: float
    extension_seconds: float
    extension_below: float
    float_cancel_below: float
    float_exit_seconds: float
    equalize: float
    equalize_above_seconds: float
    equalize_seconds: float
    equalize_calendar_days: int
    volts_per_degree: float
    disconnect: float
    reconnect: float
    ceiling: float
    hottest: float
    coldest: float
    led_thresholds: tuple[float, float, float, float]
    amps_limit: float


def factory_words(coding: Coding, unit: int) -> dict[int, int]:
    """The EEPROM as it leaves the workshop: a sealed lead-acid battery, for 12 V nominal."""
    volts = coding.volts
    return {
        0xE000: volts(14.4),
        0xE001: volts(13.4),
        0xE002: 9000,
        0xE003: 1800,
        0xE004: volts(12.5),
        0xE005: volts(11.5),
        0xE006: 1800,
        0xE007: volts(15.1),
        0xE008: 28,
        0xE009: 18000,
        0xE00A: 7200,
        0xE00B: 0,
        0xE00C: 0,
        0xE00D: coding.per_degree(0.03),
        0xE00E: volts(16.2),
        0xE00F: volts(14.8),
        0xE010: volts(15.6),
        0xE011: coding.celsius(80),
        0xE012: coding.celsius(-40),
        0xE013: 0,
        0xE014: 0,
        0xE015: volts(13.0),
        0xE016: volts(12.4),
        0xE017: volts(12.0),
        0xE018: volts(11.6),
        0xE019: unit,
        0xE01A: 1,
        0xE01B: 0,
        0xE01C: 0,
        0xE01D: coding.amps(0.0),
        0xE01E: 0,
        0xE01F: 0,
        0xE020: 0,
        0xE021: 0,
    }


def custom_settings(words: Mapping[int, int], coding: Coding, multiplier: int) -> Settings:
    """The EEPROM read as settings: voltages are for 12 V and grow with the system (§2.1)."""

    def volts(address: int) -> float:
        return coding.volts_of(words[address]) * multiplier

    return Settings(
        absorption=volts(0xE000),
        float_volts=volts(0xE001),
        absorption_seconds=words[0xE002],
        extension_seconds=words[0xE003],
        extension_below=volts(0xE004),
        float_cancel_below=volts(0xE005),
        float_exit_seconds=words[0xE006],
        equalize=volts(0xE007),
        equalize_above_seconds=words[0xE009],
        equalize_seconds=words[0xE00A],
        equalize_calendar_days=words[0xE008],
        volts_per_degree=coding.per_degree_of(words[0xE00D]) * multiplier,
        disconnect=volts(0xE00E),
        reconnect=volts(0xE00F),
        ceiling=volts(0xE010),
        hottest=coding.celsius_of(words[0xE011]),
        coldest=coding.celsius_of(words[0xE012]),
        led_thresholds=(volts(0xE015), volts(0xE016), volts(0xE017), volts(0xE018)),
        amps_limit=coding.amps_of(words[0xE01D]),
    )


def active_settings(words: Mapping[int, int], coding: Coding, multiplier: int, switches: int) -> Settings:
    """The EEPROM's settings if switches 4-5-6 are ON-ON-ON, else those of the preset."""
    program = (switches >> 3 & 1) << 2 | (switches >> 4 & 1) << 1 | (switches >> 5 & 1)
    if program == CUSTOM:
        return custom_settings(words, coding, multiplier)
    absorption, float_volts, equalize = _PRESETS[program]
    fixed = factory_words(coding, 1) | {
        0xE000: coding.volts(absorption),
        0xE001: coding.volts(float_volts),
        0xE007: coding.volts(equalize),
    }
    return custom_settings(fixed, coding, multiplier)
