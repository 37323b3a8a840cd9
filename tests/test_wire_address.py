"""How links are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.wire.address import LinkAddress, LinkAddressError, make_bus, parse_link


@pytest.mark.parametrize(
    ("text", "canonical", "described"),
    [
        ("tcp://192.168.1.100:502", "tcp://192.168.1.100:502", "Modbus TCP 192.168.1.100, unit 1"),
        ("tcp://192.0.2.4", "tcp://192.0.2.4:502", "Modbus TCP 192.0.2.4, unit 1"),
        ("TCP://TsMppt123/", "tcp://tsmppt123:502", "Modbus TCP tsmppt123, unit 1"),
        ("tcp://roof.local:1502", "tcp://roof.local:1502", "Modbus TCP roof.local:1502, unit 1"),
        ("tcp://[2001:DB8::0:1]", "tcp://[2001:db8::1]:502", "Modbus TCP 2001:db8::1, unit 1"),
        ("tcp://[fe80::1%eth0]:5020", "tcp://[fe80::1%eth0]:5020", "Modbus TCP [fe80::1%eth0]:5020, unit 1"),
        ("rtu+tcp://10.0.0.5:4001", "rtu+tcp://10.0.0.5:4001", "Modbus RTU over TCP 10.0.0.5:4001, unit 1"),
        ("serial:/dev/ttyUSB0", "serial:/dev/ttyUSB0?baud=9600", "Modbus RTU ttyUSB0, unit 1"),
        ("serial:///dev/ttyUSB0", "serial:/dev/ttyUSB0?baud=9600", "Modbus RTU ttyUSB0, unit 1"),
        (
            "serial:/dev/ttyUSB0?parity=N&bits=8&baud=9600&stop=2",
            "serial:/dev/ttyUSB0?baud=9600&stop=2",
            "Modbus RTU ttyUSB0, unit 1",
        ),
        (
            "serial:/dev/serial/by-id/usb-FTDI?baud=115200&parity=e&bits=7",
            "serial:/dev/serial/by-id/usb-FTDI?baud=115200&parity=E&bits=7",
            "Modbus RTU serial/by-id/usb-FTDI, unit 1",
        ),
    ],
)
def test_link(text, canonical, described):
    address = parse_link(text)
    assert str(address) == canonical
    assert address.describe(1) == described
    assert address.text == text
    again = parse_link(canonical)
    assert str(again) == canonical


def test_a_drivers_own_serial_settings_fill_what_is_not_said():
    assert str(parse_link("serial:/dev/ttyS1", baud=115200, stop=2)) == "serial:/dev/ttyS1?baud=115200&stop=2"
    assert str(parse_link("serial:/dev/ttyS1?stop=1", baud=115200, stop=2)) == "serial:/dev/ttyS1?baud=115200"


def test_parts():
    address = parse_link("serial:/dev/ttyUSB0?baud=19200&parity=O&stop=2&bits=7")
    assert (address.kind, address.path, address.baud, address.stop, address.parity, address.bits) == (
        "serial",
        "/dev/ttyUSB0",
        19200,
        2,
        "O",
        7,
    )
    assert address.endpoint == "/dev/ttyUSB0"
    assert parse_link("tcp://[::1]:503").host == "::1"
    assert parse_link("tcp://h:503").endpoint == parse_link("rtu+tcp://h:503").endpoint == "h:503"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not understood; allowed are tcp://HOST"),
        ("192.168.1.100", "is not understood"),
        ("/dev/ttyUSB0", "is not understood; .* serial:/dev/TTY"),
        ("http://x", "is not understood"),
        ("tcp:192.0.2.4", "is not understood"),
        ("tcp://", '"" is not a host name'),
        ("tcp://a b", '"a b" is not a host name'),
        ("tcp://host:", 'port "" is not a number within 1..65535'),
        ("tcp://host:0", 'port "0"'),
        ("tcp://host:65536", 'port "65536"'),
        ("tcp://host:５０２", "port"),
        ("tcp://fe80::1", r"in brackets: \[fe80::1\]"),
        ("tcp://[fe80::1", r"is written \[2001:db8::1\]:502"),
        ("tcp://[zz]", '"zz" is not an IPv6 address'),
        ("rtu+tcp://host", "no port; allowed is rtu"),
        ("serial:ttyUSB0", '"ttyUSB0" is not a path such as /dev/ttyUSB0'),
        ("serial:/dev/ttyUSB0?speed=9600", 'unknown option "speed"; allowed are baud, stop, parity, bits'),
        ("serial:/dev/ttyUSB0?baud=fast", 'baud "fast" is not a number within 50..4000000'),
        ("serial:/dev/ttyUSB0?stop=3", 'stop "3" is not a number within 1..2'),
        ("serial:/dev/ttyUSB0?parity=X", 'parity "X" is not N, E or O'),
        ("serial:/dev/ttyUSB0?bits=9", 'bits "9" is not a number within 7..8'),
    ],
)
def test_errors_are_one_line_that_says_what_is_allowed(text, words):
    with pytest.raises(LinkAddressError, match=words) as caught:
        parse_link(text)
    assert f'link "{text}"' in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=40) | st.text(max_size=30).map("tcp://".__add__) | st.text(max_size=30).map("serial:/".__add__))
def test_any_text_is_an_address_or_an_error(text):
    try:
        address = parse_link(text)
    except LinkAddressError:
        return
    assert isinstance(address, LinkAddress)


def test_bus_is_called_like_its_link():
    assert make_bus(parse_link("tcp://192.0.2.4")).name == "tcp://192.0.2.4:502"
    assert make_bus(parse_link("serial:/dev/ttyUSB0")).name == "serial:/dev/ttyUSB0"
