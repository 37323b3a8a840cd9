"""As much of Home Assistant's HTTP and WebSocket interface as the acceptance test needs."""

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp

STARTING = 300.0
"""Seconds: at its first start Home Assistant installs what its integrations need."""


class HassError(Exception):
    """Home Assistant did not do what it was asked for; the text says what it answered."""


class Hass:
    """One Home Assistant that was never set up before."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._http = aiohttp.ClientSession()
        self._token = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def set_up(self, broker_port: int) -> None:
        """Make an owner, log in, and connect it to the broker."""
        owner = {
            "client_id": f"{self._url}/",
            "name": "owner",
            "username": "owner",
            "password": "owner",
            "language": "en",
        }
        code = (await self._until_up("/api/onboarding/users", owner))["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": f"{self._url}/"}
        async with self._http.post(f"{self._url}/auth/token", data=form) as answer:
            self._token = (await answer.json())["access_token"]
        flow = await self.post("/api/config/config_entries/flow", {"handler": "mqtt"})
        done = await self.post(
            f"/api/config/config_entries/flow/{flow['flow_id']}", {"broker": "127.0.0.1", "port": broker_port}
        )
        if done.get("type") != "create_entry":
            raise HassError(f"it does not take the broker: {done}")

    async def log_in(self) -> None:
        """Wait until it answers again after a restart; the token of before is still good for half an hour."""
        async with asyncio.timeout(STARTING):
            while True:
                try:
                    await self.states()
                except (aiohttp.ClientError, HassError):
                    await asyncio.sleep(1)
                else:
                    return

    async def states(self) -> dict[str, Any]:
        """All states by entity id."""
        return {state["entity_id"]: state for state in await self._get("/api/states")}

    async def call(self, domain: str, service: str, **options: object) -> None:
        """Call a service, such as that of a switch in the user interface."""
        await self.post(f"/api/services/{domain}/{service}", options)

    async def registry(self, what: str) -> list[Any]:
        """Everything in the registry of `what`: entity or device, also what is switched off."""
        return list(await self.command({"type": f"config/{what}_registry/list"}))

    async def command(self, message: dict[str, object]) -> Any:
        """The result of one command over the WebSocket. Raises HassError."""
        async with self._http.ws_connect(f"{self._url}/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            await socket.receive_json()
            await socket.send_json({"id": 1, **message})
            answer = await socket.receive_json()
        if not answer.get("success"):
            raise HassError(f"{message}: {answer}")
        return answer["result"]

    async def post(self, path: str, content: dict[str, object]) -> Any:
        """What it answers. Raises HassError."""
        async with self._http.post(f"{self._url}{path}", json=content, headers=self._headers) as answer:
            if answer.status >= 400:
                raise HassError(f"{path}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def _get(self, path: str) -> Any:
        async with self._http.get(f"{self._url}{path}", headers=self._headers) as answer:
            if answer.status >= 400:
                raise HassError(f"{path}: {answer.status}")
            return await answer.json()

    async def _until_up(self, path: str, content: dict[str, object]) -> Any:
        async with asyncio.timeout(STARTING):
            while True:
                try:
                    return await self.post(path, content)
                except (aiohttp.ClientError, HassError):
                    await asyncio.sleep(1)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}
