"""What a write request says, for each of the three APIs of the line protocol."""

import base64

from heliobus.config.outputs import InfluxConfig
from heliobus.config.secret import SecretError

PATHS = {"v1": "/write", "v2": "/api/v2/write", "v3": "/api/v3/write_lp"}


def address(config: InfluxConfig) -> str:
    """Where lines are posted, without the parameters."""
    return config.url + PATHS[config.api]


def parameters(config: InfluxConfig) -> dict[str, str]:
    """The parameters of the URL. No secret is among them, for URLs end up in the logs of servers and proxies."""
    if config.api == "v2":
        organisation = {"org": config.org} if config.org else {}
        return {**organisation, "bucket": config.database, "precision": "ms"}
    return {"db": config.database, "precision": "ms" if config.api == "v1" else "millisecond"}


def credentials(config: InfluxConfig) -> dict[str, str]:
    """The header that says who we are, empty if nobody asks. Read anew each time. Raises SecretError."""
    if config.token:
        scheme = "Bearer" if config.api == "v3" else "Token"
        return {"Authorization": f"{scheme} {config.token.reveal()}"}
    if config.user or config.password:
        # InfluxDB 1 takes them in the URL too, where a log would keep them.
        pair = f"{config.user}:{config.password.reveal()}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def hidden(config: InfluxConfig, words: str) -> str:
    """`words` of a server or a proxy, without a secret that it may have repeated."""
    for find in (config.token.reveal, config.password.reveal, lambda: _sent(config)):
        try:
            told = find()
        except SecretError:
            continue
        words = words.replace(told, "…") if told else words
    return words


def _sent(config: InfluxConfig) -> str:
    """The secret as it stands in the header."""
    return credentials(config).get("Authorization", "").partition(" ")[2]
