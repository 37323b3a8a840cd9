"""The set-only coils of the TriStar MPPT that act on its counters (§6)."""

from collections.abc import Callable, Mapping

from heliobus.sim.tristar_logger import Logger


def clear_ah_resettable(logger: Logger) -> None:
    """0x0010: also begins the long-term voltage extremes anew."""
    logger.counters.ah_resettable = 0.0
    logger.clear_extremes()


def clear_ah_total(logger: Logger) -> None:
    """0x0011."""
    logger.counters.ah_total = 0.0


def clear_kwh_resettable(logger: Logger) -> None:
    """0x0012."""
    logger.counters.kwh_resettable = 0.0


def clear_service_calendar(logger: Logger) -> None:
    """0x0013."""
    logger.service_days = 0.0


def clear_kwh_total(logger: Logger) -> None:
    """0x0018."""
    logger.counters.kwh_total = 0.0


LOGGER_COILS: Mapping[int, Callable[[Logger], None]] = {
    0x0010: clear_ah_resettable,
    0x0011: clear_ah_total,
    0x0012: clear_kwh_resettable,
    0x0013: clear_service_calendar,
    0x0016: Logger.store,
    0x0018: clear_kwh_total,
    0x0019: Logger.clear_extremes,
}
