"""Addresses of others as a person or the platform writes them, and where nothing may travel in clear.

What must stay true: ``http://`` and ``ws://`` are for this machine alone where a secret or a token goes along.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit


def http_url(text: str) -> str:
    """An address of HTTP, without a slash at its end. Raises ``ValueError`` for all else."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:  # what is no port raises
        raise ValueError("should be an http:// or https:// address")
    return text.rstrip("/")


def private_url(text: str) -> str:
    """The same for what carries secrets: ``https://``, or this machine. Raises ``ValueError``."""
    parts = urlsplit(http_url(text))
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("should be an https:// address: http:// is for this machine alone (127.0.0.1, localhost)")
    return text.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: what is sent there in clear leaves no cable."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
