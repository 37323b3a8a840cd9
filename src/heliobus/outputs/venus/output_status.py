"""What a switchable output does: `/SwitchableOutput/<id>/Status`. Source: venus.md §7.1, epever.md §16."""

from heliobus.model.point import Value
from heliobus.model.reading import Reading

OFF, TRIPPED, FAULT, ON, SHORT, DISABLED, EXTERNAL_CONTROL = 0x00, 0x02, 0x08, 0x09, 0x10, 0x20, 0x80
DISABLED_ON = DISABLED | ON
STATUSES = {
    OFF: "off",
    TRIPPED: "tripped",
    FAULT: "output fault",
    ON: "on",
    SHORT: "short",
    DISABLED: "disabled",
    DISABLED_ON: "on, but not to be switched",
    EXTERNAL_CONTROL: "external control",
}
LOAD_MEASURED = {"Current": "load_current", "Voltage": "load_voltage"}

# Errors and warnings that are about the load output, the gravest first.
LOAD_ERRORS = {"epever:e-8": SHORT, "epever:w-9": TRIPPED}
LOAD_FAULTS, LOAD_MODE = "load_faults", "set_load_mode"
"""A family's own points: the faults of its load output, and what switches it, 0 for by hand."""


def on_or_off(state: Value) -> Value:
    """The status of an output that has no trouble."""
    return None if state is None else ON if state else OFF


def load_status(reading: Reading) -> Value:
    """The status of a charger's load output: its trouble, else what it does, whatever it was asked to do."""
    errors = str(reading.values.get("error_ids") or "").split(",")
    for error, status in LOAD_ERRORS.items():
        if error in (each.strip() for each in errors):
            return status
    if reading.values.get(LOAD_FAULTS):
        return FAULT
    state = reading.values.get("load_state")
    if reading.values.get(LOAD_MODE):
        return DISABLED_ON if state else DISABLED
    return on_or_off(state)
