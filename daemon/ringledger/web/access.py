"""Who may look, and what of it: everybody on this machine, who has a token, who comes through a proxy that knows them.

What must stay true: a request that passed a proxy is never taken for one of this machine; a token
is compared in constant time and never shown; a proxy's word counts only from an address that is configured.
"""

import hashlib
import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, Literal

from ringledger.config.model import ServeToken, Settings
from ringledger.config.provenance import SettingsError

Role = Literal["full", "masked", "own"]

#: Headers that proxies add: a request with one of them does not come straight from this machine.
FORWARDING: Final = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")
#: A shorter token could be guessed.
SHORTEST: Final = 20
COOKIE: Final = "ringledger"
#: How long a browser stays signed in, seconds.
SIGNED_IN: Final = 12 * 3600
#: Wrong tokens an address may send within :data:`WINDOW` seconds, and how many addresses are remembered.
MOST_WRONG: Final = 10
WINDOW: Final = 60.0
MOST_ADDRESSES: Final = 1024


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever looks. ``accounts``: those that may be seen, empty: all; ``extension``: of the role `own`."""

    name: str
    role: Role
    accounts: frozenset[str] = frozenset()
    extension: str = ""

    @property
    def masked(self) -> bool:
        """Whether numbers are shown by their last four digits."""
        return self.role == "masked"


@dataclass(frozen=True, slots=True)
class _Holder:
    viewer: Viewer
    digest: bytes = field(repr=False)
    key: bytes = field(repr=False)


class Doorkeeper:
    """Judges requests. ``clock``: the wall clock, seconds, for how long a visitor stays signed in."""

    def __init__(
        self, settings: Settings, *, directory: Path, env: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        serve = settings.serve
        everybody: Role = "full" if settings.log.numbers == "full" else "masked"
        self._local = Viewer("local", everybody)
        self._proxies = proxies(settings)
        self._header = serve.user_header.lower()
        self._proxy_role: Role = serve.proxy_role
        self._holders = [_holder(token, directory, env) for token in serve.tokens]
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def viewer(self, peer: str, headers: Mapping[str, str], cookie: str = "") -> Viewer | None:
        """Return who asks; ``None``: it is not known. ``headers``: names in lower case."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return self.of_token(token.strip()) if scheme.lower() == "bearer" else None
        if cookie and (known := self._of_cookie(cookie)):
            return known
        if self._is_proxy(peer):
            user = headers.get(self._header, "").strip()
            return Viewer(user[:128], self._proxy_role) if user and user.isprintable() else None
        if is_loopback(peer) and not any(name in headers for name in FORWARDING):
            return self._local
        return None

    def of_token(self, token: str) -> Viewer | None:
        """Who has this token."""
        given = hashlib.sha256(token.encode()).digest()
        found = None
        for holder in self._holders:  # all of them, whichever it is
            if hmac.compare_digest(holder.digest, given):
                found = holder.viewer
        return found

    def cookie_for(self, viewer: Viewer) -> str:
        """What a browser keeps instead of the token: who, until when, and a seal that only the token makes."""
        key = next(holder.key for holder in self._holders if holder.viewer == viewer)
        until = str(int(self._clock()) + SIGNED_IN)
        return f"{viewer.name}|{until}|{_seal(key, viewer.name, until)}"

    def _of_cookie(self, cookie: str) -> Viewer | None:
        name, _, rest = cookie.partition("|")
        until, _, seal = rest.partition("|")
        if not until.isascii() or not until.isdecimal() or int(until[:12]) < self._clock():
            return None
        for holder in self._holders:
            sealed = _seal(holder.key, name, until)
            if holder.viewer.name == name and hmac.compare_digest(sealed.encode(), seal.encode()):
                return holder.viewer
        return None

    def has_tokens(self) -> bool:
        """Whether anybody can sign in."""
        return bool(self._holders)

    def refuse(self, peer: str) -> None:
        """Remember a wrong token from this address."""
        recent = [*self._recent(peer), time.monotonic()][-MOST_WRONG:]
        self._wrong[peer] = recent
        self._wrong.move_to_end(peer)
        while len(self._wrong) > MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def is_guessing(self, peer: str) -> bool:
        """Whether this address has sent too many wrong tokens just now."""
        return len(self._recent(peer)) >= MOST_WRONG

    def _recent(self, peer: str) -> list[float]:
        return [at for at in self._wrong.get(peer, ()) if at > time.monotonic() - WINDOW]

    def is_proxy(self, peer: str) -> bool:
        """Whether this address is one of the configured proxies."""
        return self._is_proxy(peer)

    def _is_proxy(self, peer: str) -> bool:
        return within(peer, self._proxies)


def is_loopback(peer: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def hosts_of(settings: Settings) -> frozenset[str]:
    """The names a request may call this server by, in lower case and without a port."""
    host = settings.serve.listen.rpartition(":")[0].strip("[]").lower()
    mine = {"localhost", "127.0.0.1", "::1", *(name.lower().strip("[]") for name in settings.serve.hosts)}
    return frozenset(mine | ({host} if host not in {"0.0.0.0", "::", ""} else set()))  # noqa: S104 - compared, not bound


def host_of(header: str) -> str:
    """The name in a Host header, in lower case and without the port."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0].rstrip(".")


def check(settings: Settings) -> None:
    """Raise ``SettingsError`` when no request could be allowed."""
    host = settings.serve.listen.rpartition(":")[0].strip("[]")
    if host != "localhost" and not is_loopback(host) and not (settings.serve.tokens or settings.serve.trusted_proxies):
        raise SettingsError(
            f"serve.listen: {settings.serve.listen} is reached from other machines, and nobody there may look; "
            "add [[serve.tokens]] or serve.trusted_proxies, or listen at 127.0.0.1"
        )


def proxies(settings: Settings) -> list[IPv4Network | IPv6Network]:
    """Where those may be who speak for others."""
    return [ip_network(text) for text in settings.serve.trusted_proxies]


def within(peer: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address lies in one of the networks; a text that is no address lies in none."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(address in network or (mapped is not None and mapped in network) for network in networks)


def _seal(key: bytes, name: str, until: str) -> str:
    return hmac.new(key, f"{name}|{until}".encode(), hashlib.sha256).hexdigest()


def _holder(token: ServeToken, directory: Path, env: Mapping[str, str]) -> _Holder:
    where = f"serve.tokens, {token.name}"
    passed = Path(env.get("CREDENTIALS_DIRECTORY", os.devnull))
    credentials = [passed / token.file, passed / f"token_{token.file}"]  # systemd names those of a directory so
    path = next((one for one in credentials if one.is_file()), directory / token.file)
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise SettingsError(f"{where}: {path} cannot be read: {reason}") from None
    if len(secret) < SHORTEST:
        raise SettingsError(
            f"{where}: {path} holds less than {SHORTEST} characters; make one with `openssl rand -hex 32`"
        )
    viewer = Viewer(token.name, token.role, frozenset(token.accounts), token.extension)
    digest = hashlib.sha256(secret.encode()).digest()
    return _Holder(viewer, digest, hmac.new(secret.encode(), b"ringledger cookie", hashlib.sha256).digest())
