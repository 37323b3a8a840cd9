"""What a simulated TriStar MPPT knows about itself beside its regulator and logger."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Identity:
    """Name plate and network settings; firmware is BCD, hardware 0x<major><minor>."""

    serial: str
    product: str
    model_word: int
    netbios: str
    firmware: int = 0x42
    server_version: int = 9
    hardware: int = 0x0101
    ip: str = "192.168.1.253"
    mask: str = "255.255.255.0"
    gateway: str = "192.168.1.1"
    dns: tuple[str, str] = ("192.168.1.1", "192.168.1.1")
    dhcp: bool = True
    mac: bytes = b"\x00\x20\xb6\x12\x34\x56"
    controller_id: str = ""
    sense: bool = True
    array_current_error: float = 1.08
    """The array current is good to ±20 % (§3); this is what the registers show of the true one."""

    @property
    def revision(self) -> str:
        """`v<hardware major>.<hardware minor>.<software>`, two digits each (§1.6)."""
        return f"v{self.hardware >> 8:02X}.{self.hardware & 0xFF:02X}.{self.firmware & 0xFF:02X}"


@dataclass(slots=True)
class State:
    """Faults, alarms, switches and the manual-control words 0x0058-0x005B (600 V: also 0x0068)."""

    switches: int
    faults: int = 0
    alarms: int = 0
    injected_faults: int = 0
    injected_alarms: int = 0
    hard_faults: int = 0
    """Faults that only a reset lifts: a changed switch (5) and a custom settings edit (6)."""
    control: dict[int, int] = field(default_factory=lambda: dict.fromkeys((0x58, 0x59, 0x5A, 0x5B, 0x68), 0))
