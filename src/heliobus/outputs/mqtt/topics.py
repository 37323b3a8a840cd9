"""Where on a broker everything of a site is: the only place that knows how topics are made."""

from heliobus.model.device import Device
from heliobus.model.naming import slug

ONLINE, OFFLINE = b"online", b"offline"


class Topics:
    """The topics of one site. A device keeps its own while the process lasts, also if another one is called alike."""

    def __init__(self, prefix: str, site: str) -> None:
        self.base = f"{prefix}/{slug(site)}"
        self.availability = f"{self.base}/availability"
        self._slugs: dict[str, str] = {}

    def device(self, device: Device) -> str:
        """The beginning of all topics of `device`."""
        return f"{self.base}/{self._slug(device.name)}"

    def device_availability(self, device: Device) -> str:
        """Where it says `online` or `offline` of the device, retained."""
        return f"{self.device(device)}/availability"

    def state(self, device: Device) -> str:
        """Where all its values are published, one JSON object a time, never retained."""
        return f"{self.device(device)}/state"

    def sample(self, device: Device) -> str:
        """Where samples for databases go, at QoS 1."""
        return f"{self.device(device)}/sample"

    def command(self, device: Device, point: str) -> str:
        """Where a value for `point` is taken."""
        return f"{self.device(device)}/{point}/set"

    def result(self, device: Device, point: str) -> str:
        """Where it is said what became of a command."""
        return f"{self.device(device)}/{point}/result"

    def commands(self) -> str:
        """The filter of all commands."""
        return f"{self.base}/+/+/set"

    def commanded(self, topic: str) -> tuple[str, str] | None:
        """The names of device and point that a command's topic means; None if it means none of ours."""
        parts = topic.removeprefix(f"{self.base}/").split("/")
        if not topic.startswith(f"{self.base}/") or len(parts) != 3 or parts[2] != "set":
            return None
        name = next((name for name, each in self._slugs.items() if each == parts[0]), None)
        return None if name is None else (name, parts[1])

    def _slug(self, name: str) -> str:
        chosen = self._slugs.get(name)
        if chosen is None:
            wanted = chosen = slug(name)
            count = 1
            # `availability` is the site's own.
            while chosen in self._slugs.values() or chosen == "availability":
                count += 1
                chosen = f"{wanted}-{count}"
            self._slugs[name] = chosen
        return chosen
