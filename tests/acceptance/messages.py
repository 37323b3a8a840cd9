"""Discovery messages of everything that the catalog knows, and what Home Assistant makes of them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import aiomqtt
from hass_api import Hass
from stage import Judge, until

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.outputs.mqtt import values
from heliobus.outputs.mqtt.homeassistant import payload, removal
from heliobus.outputs.mqtt.topics import OFFLINE, ONLINE
from homeassistant_devices import SITE, every, topics, value

PREFIX = "homeassistant"
AS_PUBLISHED = "pzem"
"""Of this family components that are switched off stay so; all others are switched on, to see what they show."""
NOTHING = ("unknown", "")
"""A text entity knows no unknown state, it is empty then."""


class Messages:
    """Every family with everything it can have."""

    def __init__(self, hass: Hass, client: aiomqtt.Client, judge: Judge) -> None:
        self._hass = hass
        self._client = client
        self._judge = judge
        self._site = topics()
        self._devices = [each for each in every() if each.controls or each.short == "total"]
        self._configs = {each.key: _config(each) for each in self._devices}
        self._measured = {
            each.key: {name: value(point) for name, point in each.points.items()} for each in self._devices
        }

    async def run(self) -> None:
        """They are accepted, shown, unknown, unavailable, removed."""
        await self._publish()
        entities = await self._accepted()
        await self._shown(entities)
        await self._counters()
        await self._unmeasured(entities)
        for short in ("tristar", "tracer", AS_PUBLISHED):
            await self._without_control(next(each for each in self._devices if each.short == short))
        await self._gone(entities)

    async def _publish(self) -> None:
        await self._keep(self._site.availability, ONLINE)
        bridge = payload.bridge_config(self._site, SITE)
        await self._keep(payload.config_topic(PREFIX, payload.bridge_key(SITE)), payload.encoded(bridge))
        for each in self._devices:
            await self._keep(payload.config_topic(PREFIX, each.key), payload.encoded(self._configs[each.key]))
        await asyncio.sleep(10)
        for each in self._devices:
            await self._show(each, self._measured[each.key])
        await asyncio.sleep(5)

    async def _accepted(self) -> dict[tuple[str, str], str]:
        """The entity ids of all components by platform and unique id, without those that are switched off."""
        registry = {
            (entry["entity_id"].partition(".")[0], entry["unique_id"]): entry
            for entry in await self._hass.registry("entity")
        }
        wanted = [part for config in self._configs.values() for part in _parts(config).values()]
        missing = [str(_identity(part)) for part in wanted if _identity(part) not in registry]
        self._judge.see(f"all {len(wanted)} components are entities", missing)
        known = [(part, registry[_identity(part)]) for part in wanted if _identity(part) in registry]
        self._judge.see(
            "ids are those asked for",
            [entry["entity_id"] for part, entry in known if entry["entity_id"] != part["default_entity_id"]],
        )
        self._judge.see(
            "only what should be is switched off",
            [
                entry["entity_id"]
                for part, entry in known
                if bool(entry["disabled_by"]) != ("enabled_by_default" in part)
            ],
        )
        devices = {pair[1] for entry in await self._hass.registry("device") for pair in entry["identifiers"]}
        self._judge.see("every device is known", [key for key in self._configs if f"heliobus_{key}" not in devices])
        return {_identity(part): entry["entity_id"] for part, entry in known if not entry["disabled_by"]}

    async def _shown(self, entities: Mapping[tuple[str, str], str]) -> None:
        states = await self._hass.states()
        bridge = states["binary_sensor.bridge_cabin_at_the_lake_connected"]["state"]
        self._judge.see("the bridge is connected", bridge != "on")
        wrong, unlike = [], []
        for each in self._devices:
            state = json.loads(values.state(each, self._measured[each.key]))
            for name, part in _parts(self._configs[each.key]).items():
                entity = entities.get(_identity(part))
                if entity is None or part["p"] == "button":
                    continue
                shown, wanted = states[entity], _expected(name, part, state)
                if not _same(shown["state"], wanted):
                    wrong.append(f"{entity} shows {shown['state']!r} for {wanted!r}")
                for option in ("device_class", "state_class", "unit_of_measurement"):
                    if shown["attributes"].get(option) != part.get(option):
                        unlike.append(f"{entity}: {option} {shown['attributes'].get(option)} for {part.get(option)}")
        self._judge.see("values are as published", wrong)
        self._judge.see("units and classes are as published", unlike)

    async def _counters(self) -> None:
        """The Energy dashboard takes lifetime counters, and nothing that begins again each day."""
        command: dict[str, object] = {"type": "recorder/list_statistic_ids", "statistic_type": "sum"}
        found = {each["statistic_id"] for each in await self._hass.command(command)}
        counters = {"yield_total", "energy_forward", "load_energy_total"}
        lifetime = {
            str(part["default_entity_id"])
            for config in self._configs.values()
            for name, part in _parts(config).items()
            if name in counters
        }
        self._judge.see("lifetime counters have sums", sorted(lifetime - found))
        self._judge.see("daily energies have none", [one for one in found if "today" in one or "day_counter" in one])

    async def _unmeasured(self, entities: Mapping[tuple[str, str], str]) -> None:
        for each in self._devices:
            await self._show(each, {})
        live = [entity for (platform, _), entity in entities.items() if platform != "button"]
        states = await until(lambda now: all(now[each]["state"] in NOTHING for each in live), self._hass)
        wrong = [f"{each}: {states[each]['state']}" for each in live if states[each]["state"] not in NOTHING]
        self._judge.see("null is unknown", wrong)
        for each in self._devices:
            await self._keep(self._site.device_availability(each), OFFLINE)
        everything = list(entities.values())
        states = await until(lambda now: all(now[each]["state"] == "unavailable" for each in everything), self._hass)
        self._judge.see("offline is unavailable", [one for one in everything if states[one]["state"] != "unavailable"])

    async def _without_control(self, device: Device) -> None:
        """Some components go, and some become another platform."""
        before, after = self._configs[device.key], _config(device, commands=False)
        for step in removal.steps(removal.published(before), after):
            await self._keep(payload.config_topic(PREFIX, device.key), payload.encoded(step))
        await asyncio.sleep(5)
        known = {
            (each["entity_id"].partition(".")[0], each["unique_id"]) for each in await self._hass.registry("entity")
        }
        # One that is switched off stays until its device goes: Home Assistant forgets that it was discovered.
        old = {_identity(part) for part in _parts(before).values() if "enabled_by_default" not in part}
        new = {_identity(part) for part in _parts(after).values()}
        self._judge.see(f"{len(old - new)} of {device.short} are removed", sorted((old - new) & known))
        self._judge.see(f"{len(new)} of {device.short} are there", sorted(new - known))

    async def _gone(self, entities: Mapping[tuple[str, str], str]) -> None:
        for each in self._devices:
            await self._keep(payload.config_topic(PREFIX, each.key), removal.GONE)
        everything = set(entities.values())
        states = await until(lambda now: not everything & set(now), self._hass)
        self._judge.see("an empty message removes everything", sorted(everything & set(states)))
        left = {pair[1] for entry in await self._hass.registry("device") for pair in entry["identifiers"]}
        self._judge.see("and the devices", [key for key in self._configs if f"heliobus_{key}" in left])

    async def _show(self, device: Device, measured: Mapping[str, Value]) -> None:
        await self._keep(self._site.device_availability(device), ONLINE)
        await self._client.publish(self._site.state(device), values.state(device, measured), qos=1)

    async def _keep(self, topic: str, message: bytes) -> None:
        await self._client.publish(topic, message, qos=1, retain=True)


def _config(device: Device, *, commands: bool = True) -> payload.Config:
    config = payload.device_config(device, topics(), SITE, commands=commands)
    if device.short != AS_PUBLISHED:
        for part in _parts(config).values():
            part.pop("enabled_by_default", None)
    return config


def _parts(config: payload.Config) -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], config["cmps"])


def _identity(part: Mapping[str, Any]) -> tuple[str, str]:
    return part["p"], part["unique_id"]


def _expected(name: str, part: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """The state that Home Assistant has to show for a component."""
    if name == "apply_profile":
        return str(state["profile_applied"])
    found = state[name]
    if part["p"] in ("binary_sensor", "switch"):
        return "off" if found in ("off", "no") else "on"
    outside = part["p"] == "number" and not part["min"] <= found <= part["max"]
    return "unknown" if outside or (part["p"] == "select" and found not in part["options"]) else str(found)


def _same(shown: str, wanted: str) -> bool:
    """Whether two states are the same, also if a number is written otherwise."""
    try:
        return float(shown) == float(wanted)
    except ValueError:
        return shown == wanted
