"""A service of `com.victronenergy.BusItem` leaves on a connection of its own. Source: venus.md §1.

One message filter answers for all paths: an object per path, as D-Bus libraries want it, would cost megabytes.
"""

import asyncio

from dbus_fast import Message, MessageType, NameFlag, RequestNameReply, Variant
from dbus_fast.signature import get_signature_tree

from heliobus.model.point import Value
from heliobus.outputs.output import FatalOutputError
from heliobus.outputs.venus.connection import CallError, Connection
from heliobus.outputs.venus.item import Item
from heliobus.outputs.venus.variant import entry, variant

BUS_ITEM = "com.victronenergy.BusItem"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
PEER = "org.freedesktop.DBus.Peer"
ERROR = "org.freedesktop.DBus.Error."
CLAIM_INTERVAL = 0.1

_NO_REPLY_EXPECTED = 1
_LEAF_XML = """<interface name="com.victronenergy.BusItem">
<method name="GetValue"><arg direction="out" type="v"/></method>
<method name="GetText"><arg direction="out" type="s"/></method>
<method name="SetValue"><arg direction="in" type="v"/><arg direction="out" type="i"/></method>
<method name="GetDescription"><arg direction="in" type="s"/><arg direction="in" type="i"/>\
<arg direction="out" type="s"/></method>
</interface>"""
_NODE_XML = """<interface name="com.victronenergy.BusItem">
<method name="GetValue"><arg direction="out" type="v"/></method>
<method name="GetText"><arg direction="out" type="v"/></method>
</interface>"""
_ROOT_XML = _NODE_XML.replace(
    "</interface>",
    """<method name="GetItems"><arg direction="out" type="a{sa{sv}}"/></method>
<signal name="ItemsChanged"><arg type="a{sa{sv}}"/></signal>
</interface>""",
)
_INTROSPECTABLE_XML = """<interface name="org.freedesktop.DBus.Introspectable">
<method name="Introspect"><arg direction="out" type="s"/></method>
</interface>"""
_ITEMS = get_signature_tree("a{sa{sv}}")


class _NoSuchError(Exception):
    """What was called is not here: `name` is the D-Bus error, the text says what."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = ERROR + name


class BusItemService:
    """A tree of items under one bus name. Add all items, then `claim` the name."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._items: dict[str, Item] = {}
        self._changed: dict[str, Item] = {}
        self._claimed = False
        connection.add_message_handler(self._answer)

    def add(self, item: Item) -> Item:
        """Put `item` into the tree. Raises ValueError for a path that is there already."""
        if item.path in self._items:
            raise ValueError(f"{self.name} has {item.path} already")
        self._items[item.path] = item
        return item

    def __contains__(self, path: str) -> bool:
        return path in self._items

    def set(self, item: Item, value: Value) -> None:
        """Let `item` carry `value`; the next `flush` tells if that is a change."""
        if item.take(value):
            self._changed[item.path] = item

    def repeat(self, item: Item) -> None:
        """Have the next `flush` tell the value of `item` once more, for who believes another one."""
        self._changed[item.path] = item

    async def flush(self) -> bool:
        """Send all changes since the last time in one signal. True when there were any."""
        changed, self._changed = self._changed, {}
        if not changed or not self._claimed:
            return False
        items = {path: entry(item) for path, item in changed.items()}
        sent = self._connection.send(
            Message(
                message_type=MessageType.SIGNAL,
                path="/",
                interface=BUS_ITEM,
                member="ItemsChanged",
                signature=_ITEMS,
                body=[items],
                validate=False,
            )
        )
        if not sent.done():
            await sent
        return True

    async def claim(self, patience: float) -> None:
        """Own the name; wait `patience` seconds for an earlier owner to let it go. Raises FatalOutputError."""
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while True:
            try:
                answer = await self._connection.ask_daemon("RequestName", "su", self.name, NameFlag.DO_NOT_QUEUE.value)
            except CallError as error:
                if not error.name.endswith("AccessDenied"):
                    raise
                raise FatalOutputError(
                    f"this D-Bus does not allow the name {self.name}: use a session bus "
                    "(DBUS_SESSION_BUS_ADDRESS), or a policy file that allows com.victronenergy names"
                ) from error
            if answer in (RequestNameReply.PRIMARY_OWNER.value, RequestNameReply.ALREADY_OWNER.value):
                self._claimed = True
                self._changed.clear()
                return
            if loop.time() >= end:
                raise FatalOutputError(
                    f"another program already serves {self.name} on the D-Bus{await self._owner()}: end it first"
                )
            await asyncio.sleep(CLAIM_INTERVAL)

    async def release(self) -> None:
        """Let the name go, keep the items."""
        self._claimed = False
        await self._connection.ask_daemon("ReleaseName", "s", self.name)

    async def _owner(self) -> str:
        try:
            number = await self._connection.ask_daemon("GetConnectionUnixProcessID", "s", self.name)
        except CallError:
            return ""
        return f" (process {number})"

    def _answer(self, message: Message) -> Message | bool | None:
        # dbus-fast answers Peer itself.
        if message.message_type is not MessageType.METHOD_CALL or message.interface == PEER:
            return None
        try:
            signature, value = self._call(message)
        except _NoSuchError as error:
            reply = Message.new_error(message, error.name, str(error))
        else:
            reply = Message.new_method_return(message, signature, [value])
        return True if message.flags.value & _NO_REPLY_EXPECTED else reply

    def _call(self, message: Message) -> tuple[str, object]:
        path = message.path or "/"
        item = self._items.get(path)
        if item is None and not self._below(path):
            raise _NoSuchError("UnknownObject", f"{self.name} has no path {path}")
        if message.interface == INTROSPECTABLE and message.member == "Introspect":
            return "s", self._introspection(path)
        if message.interface not in (BUS_ITEM, None):
            raise _NoSuchError("UnknownInterface", f"{path} has no interface {message.interface}")
        if item is None:
            return self._call_node(path, message)
        return _call_leaf(item, message)

    def _call_node(self, path: str, message: Message) -> tuple[str, object]:
        below = self._below(path)
        start = len(path.rstrip("/")) + 1
        match message.member:
            case "GetItems" if path == "/":
                return "a{sa{sv}}", {item.path: entry(item) for item in below}
            case "GetValue":
                return "v", Variant("a{sv}", {item.path[start:]: variant(item) for item in below})
            case "GetText":
                return "v", Variant("a{ss}", {item.path[start:]: item.text for item in below})
        raise _NoSuchError("UnknownMethod", f"{path} has no method {message.member}")

    def _below(self, path: str) -> list[Item]:
        start = path.rstrip("/") + "/"
        return [item for item in self._items.values() if item.path.startswith(start)]

    def _introspection(self, path: str) -> str:
        start = len(path.rstrip("/")) + 1
        children = dict.fromkeys(item.path[start:].partition("/")[0] for item in self._below(path))
        node = _ROOT_XML if path == "/" else _NODE_XML
        interface = _LEAF_XML if path in self._items else node
        nodes = "".join(f'<node name="{child}"/>\n' for child in children)
        return f"<node>\n{interface}\n{_INTROSPECTABLE_XML}\n{nodes}</node>\n"


def _call_leaf(item: Item, message: Message) -> tuple[str, object]:
    match message.member, message.signature:
        case "GetValue", _:
            return "v", variant(item)
        case "GetText", _:
            return "s", item.text
        case "GetDescription", _:
            return "s", item.doc
        case "SetValue", "v":
            return "i", item.written(message.body[0].value)
        case "SetValue", signature:
            raise _NoSuchError("InvalidArgs", f"SetValue takes a variant, not {signature!r}")
    raise _NoSuchError("UnknownMethod", f"{item.path} has no method {message.member}")
