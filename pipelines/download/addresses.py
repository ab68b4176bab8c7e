"""What may be connected to: public addresses, http and https, the usual ports.

A name is resolved once, every address of the answer is checked, and the connection goes to one of these very addresses, so a
name that changes its mind in between (DNS rebinding) gains nothing. `checked_socket` looks once more at the address of every
connection as it is made, whatever way it came about: literal, name, redirect, robots.txt.
"""

import asyncio
import ipaddress
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

LOOKUPS = 64
REMEMBERED = 50_000
FRESH_S = 300.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInfo = Sequence[Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, name, socket address."""
Refusal = Literal["url", "address"]
Lookup = Callable[[str, int, int], Sequence[AddressInfo]]
"""``lookup(host, port, family)``; raises `OSError`."""

# Not public, though Python 3.11's tables do not say so.
_ALSO_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service is there
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # Azure's platform service, reachable from its machines alone
        "3fff::/20",  # documentation
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class BlockedAddressError(OSError):
    """The address is not public. Without an error number: no system call failed."""


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet. IPv4 inside IPv6 (mapped, 6to4, Teredo, NAT64) counts as what it leads to."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.teredo or address not in _GLOBAL_V6:
            return False
    refused = address.is_multicast or address.is_reserved or any(address in network for network in _ALSO_REFUSED)
    return address.is_global and not refused


def check_url(url: URL, port_allowed: Callable[[int], bool], allow_private: bool) -> tuple[Refusal, str] | None:
    """Why a URL is not fetched at all, or None."""
    if url.scheme not in ("http", "https"):
        return "url", "only http and https are fetched"
    if not url.host or " " in url.host or (":" in url.host and not _is_literal(url.host)):
        return "url", "there is no valid host in it"
    if not port_allowed(url.port or 0):
        return "url", f"port {url.port} is not allowed; name it in ports"
    if not allow_private and _is_literal(url.host) and not is_public(url.host):
        return "address", f"{url.host} is not a public address"
    return None


def checked_socket(allow_private: bool) -> Callable[[Any], socket.socket]:
    """Makes sockets for aiohttp, which names the address that it will connect to."""

    def make(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allow_private and not is_public(str(address[0])):
            raise BlockedAddressError(f"{address[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    return make


def system_lookup(host: str, port: int, family: int) -> Sequence[AddressInfo]:
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


class CheckedResolver(AbstractResolver):
    """Names to checked addresses; answers are kept for `FRESH_S` seconds, the last `REMEMBERED` of them.

    aiohttp's own cache forgets nothing that is not asked for again, and its resolver has few threads.
    """

    def __init__(self, allow_private: bool, lookup: Lookup = system_lookup) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="dns")
        self._known: OrderedDict[tuple[str, int, int], tuple[float, asyncio.Future[list[ResolveResult]]]] = OrderedDict()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Raises `BlockedAddressError` when any of the addresses is not public, `OSError` when there is none."""
        key, now = (host, port, int(family)), time.monotonic()
        asked, answer = self._known.get(key, (0.0, None))
        if answer is None or now - asked > FRESH_S:
            answer = asyncio.ensure_future(self._ask(host, port, int(family)))
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, even if nobody waits any more
            self._known[key] = (now, answer)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return await asyncio.shield(answer)  # others may wait for it too

    async def _ask(self, host: str, port: int, family: int) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._lookup, host, port, family)
        except UnicodeError as error:  # a label that is too long or empty
            raise OSError(socket.EAI_NONAME, "not a host name") from error
        if not self._allow_private and (bad := next((info[4][0] for info in found if not is_public(str(info[4][0]))), None)):
            raise BlockedAddressError(f"{host} leads to {bad}, which is not a public address")
        return [
            ResolveResult(
                hostname=host,
                host=str(info[4][0]),
                port=port,
                family=info[0],
                proto=info[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for info in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
