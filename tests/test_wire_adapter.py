"""Which adapter is behind a tty, and who holds a file, on made-up trees of /sys, /dev and /proc."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from heliobus.wire.adapter import adapter_of
from heliobus.wire.holder import holder_of


class Machine:
    """A machine's /sys and /dev, with what is plugged in."""

    def __init__(self, root):
        self.sys, self.dev = root / "sys", root / "dev"
        (self.sys / "class/tty").mkdir(parents=True)
        self.dev.mkdir()

    def plug(self, tty, socket, ids="1a86:55d3", serial=None, interface="00", port=None, by_path=True):
        """An adapter as the kernel shows it: with a port directory if it is a ttyUSB, without for a ttyACM."""
        vendor, product = ids.split(":")
        usb = self.sys / "devices/pci0000:00/usb1" / socket
        place = usb / f"{socket}:1.{int(interface, 16)}"
        device = place / tty if tty.startswith("ttyUSB") else place
        (device / "tty" / tty).mkdir(parents=True)
        (usb / "idVendor").write_text(f"{vendor}\n")
        (usb / "idProduct").write_text(f"{product}\n")
        if serial is not None:
            (usb / "serial").write_text(f"{serial}\n")
        (place / "bInterfaceNumber").write_text(f"{interface}\n")
        if port is not None:
            (device / "port_number").write_text(f"{port}\n")
        self._class(tty, device / "tty" / tty)
        (device / "tty" / tty / "device").symlink_to(device)
        (self.dev / tty).touch()
        if by_path:
            self.link(f"serial/by-path/pci-0000:00:14.0-usb-0:{socket.split('-')[1]}:1.{int(interface, 16)}", tty)
        return str(self.dev / tty)

    def builtin(self, tty):
        device = self.sys / "devices/platform/serial8250"
        (device / "tty" / tty).mkdir(parents=True)
        self._class(tty, device / "tty" / tty)
        (device / "tty" / tty / "device").symlink_to(device)
        (self.dev / tty).touch()
        return str(self.dev / tty)

    def link(self, name, tty):
        path = self.dev / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.dev / tty)
        return str(path)

    def unplug(self, tty):
        (self.sys / "class/tty" / tty).unlink()
        (self.dev / tty).unlink()

    def _class(self, tty, target):
        (self.sys / "class/tty" / tty).symlink_to(target)

    def adapter(self, path):
        return adapter_of(path, sys=self.sys, dev=self.dev)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("tty", ["ttyACM0", "ttyUSB0"])
def test_by_serial_number_whatever_the_tty_is_called(machine, tty):
    path = machine.plug(tty, "1-1.2", serial="5433001234")
    by_id = machine.link("serial/by-id/usb-1a86_USB_Single_Serial_5433001234-if00", tty)
    assert machine.adapter(path) == machine.adapter(by_id) == "usb-1a86-55d3-5433001234"
    machine.unplug(tty)
    other = machine.plug(tty[:-1] + "7", "1-4", serial="5433001234")
    assert machine.adapter(other) == "usb-1a86-55d3-5433001234"


def test_the_ports_of_one_adapter_are_told_apart(machine):
    names = {
        machine.adapter(machine.plug(f"ttyUSB{number}", "1-1", "0403:6011", "FT4ABCDE", f"{number:02x}", 0))
        for number in range(4)
    }
    assert names == {
        "usb-0403-6011-FT4ABCDE",
        "usb-0403-6011-FT4ABCDE-if01",
        "usb-0403-6011-FT4ABCDE-if02",
        "usb-0403-6011-FT4ABCDE-if03",
    }
    assert machine.adapter(machine.plug("ttyUSB9", "1-3", "0403:6001", "A1B2", port=1)) == "usb-0403-6001-A1B2-port1"


@pytest.mark.parametrize(
    "serial", [None, "", "0001", "0", "00000000", "123456", "0123456789", "0123456789abcdef", "---"]
)
def test_without_a_serial_number_of_its_own_by_the_socket(machine, serial):
    path = machine.plug("ttyUSB0", "1-1.2", "10c4:ea60", serial)
    machine.link("serial/by-path/pci-0000:00:14.0-usbv2-0:1.2:1.0", "ttyUSB0")
    assert machine.adapter(path) == "pci-0000:00:14.0-usb-0:1.2:1.0"


def test_two_adapters_with_one_serial_number_by_their_sockets(machine):
    one = machine.plug("ttyUSB0", "1-1", "0403:6001", "A50285BI")
    assert machine.adapter(one) == "usb-0403-6001-A50285BI"
    two = machine.plug("ttyUSB1", "1-2", "0403:6001", "A50285BI")
    assert machine.adapter(one) == "pci-0000:00:14.0-usb-0:1:1.0"
    assert machine.adapter(two) == "pci-0000:00:14.0-usb-0:2:1.0"


def test_where_udev_gives_no_names(machine):
    path = machine.plug("ttyUSB3", "1-1.4", "1a86:7523", by_path=False)
    assert machine.adapter(path) == "usb-1a86-7523-at-1-1.4"


def test_a_built_in_port_is_its_own_name(machine):
    path = machine.builtin("ttyAMA0")
    assert machine.adapter(path) == path
    assert machine.adapter(machine.link("serial0", "ttyAMA0")) == path


def test_what_is_not_plugged_in(machine):
    assert machine.adapter(str(machine.dev / "ttyUSB0")) == str(machine.dev / "ttyUSB0")
    name = "usb-1a86_USB_Single_Serial_5433001234-if00"
    assert machine.adapter(f"{machine.dev}/serial/by-id/{name}") == name


def test_a_pseudo_terminal_is_the_path_it_was_given(tmp_path):
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        assert adapter_of(path) == path
        link = tmp_path / "ttyV0"
        link.symlink_to(path)
        assert adapter_of(str(link)) == str(link)
    finally:
        os.close(master)
        os.close(slave)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
if len(sys.argv) > 2:
    fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("lock", [False, True])
def test_who_holds_a_file(tmp_path, lock):
    file = tmp_path / "tty"
    file.touch()
    assert holder_of(str(file)) is None
    command = [sys.executable, "-c", HOLD, str(file), *(["lock"] if lock else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        alias = tmp_path / "alias"
        alias.symlink_to(file)
        comm = Path(f"/proc/{process.pid}/comm").read_text().strip()
        assert holder_of(str(file)) == holder_of(str(alias)) == f"{comm} (pid {process.pid})"
        process.communicate()
    assert holder_of(str(file)) is None


def test_we_hold_nothing_from_ourselves(tmp_path):
    file = tmp_path / "tty"
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert holder_of(str(file)) is None


def test_a_proc_that_says_nothing(tmp_path):
    file = tmp_path / "tty"
    assert holder_of(str(file), tmp_path / "none") is None
    (tmp_path / "proc/77/fd").mkdir(parents=True)
    (tmp_path / "proc/locks").write_text("\n1: FLOCK\n2: POSIX ADVISORY WRITE 12 00:05:1 0 EOF\n")
    assert holder_of(str(file), tmp_path / "proc") is None
    file.touch()
    (tmp_path / "proc/77/fd/3").symlink_to(file)
    assert holder_of(str(file), tmp_path / "proc") == "a program (pid 77)"
