"""Nothing but the open internet is reached, whatever a name says and however often it changes its mind."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from pipelines.download.addresses import BlockedAddressError, check_url, checked_socket, is_public
from pipelines.download.settings import DownloadSettings
from tests.pipelines.download.web import Server

Get = Callable[..., Any]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "192.0.0.192", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
        "3fff::1", "4000::1", "no address", "",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://example.org/a.jpg", True),
        ("https://example.org:443/a.jpg", True),
        ("http://example.org:22/", False),
        ("http://example.org:8080/", False),
        ("ftp://example.org/", False),
        ("http://127.0.0.1/", False),
        ("http://[::ffff:10.0.0.1]/", False),
        ("http://169.254.169.254/latest/meta-data/", False),
    ],
)
def test_urls(url: str, allowed: bool) -> None:
    assert (check_url(URL(url), DownloadSettings().port_allowed, False) is None) == allowed


def test_ports() -> None:
    assert check_url(URL("http://example.org:8080/"), DownloadSettings(ports=(8080,)).port_allowed, False) is None
    assert check_url(URL("http://example.org/"), DownloadSettings(ports=(8080,)).port_allowed, False) is not None


def answers(*addresses: str) -> Callable[[str, int, int], list[Any]]:
    """A resolver that says one thing after the other, and the last one again and again."""
    said = list(addresses)

    def lookup(host: str, port: int, family: int) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in (said.pop(0) if len(said) > 1 else said[0]).split()
        ]

    return lookup


def port_of(server: Server) -> int:
    return int(server.server_address[1])


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localtest.invalid"]
)
def test_loopback_is_refused_however_it_is_written(server: Server, get: Get, host: str) -> None:
    found = get(f"http://{host}:{port_of(server)}/p/1.jpg", allow_private=False, ports=(port_of(server),))
    assert found.body is None
    assert found.facts["error"] in ("address", "url", "dns")
    assert not server.hits


def test_a_name_with_one_private_address_among_others_is_refused(server: Server, get: Get) -> None:
    url = f"http://mixed.test:{port_of(server)}/p/1.jpg"
    found = get(url, allow_private=False, ports=(port_of(server),), lookup=answers("93.184.216.34 127.0.0.1"))
    assert found.facts["error"] == "address"
    assert "127.0.0.1" in found.facts["message"]
    assert not server.hits


def test_a_redirect_to_a_private_address_is_refused(
    start_server: Callable[[str], Server], get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, inside = start_server("127.0.0.2"), start_server("127.0.0.1")
    monkeypatch.setattr("pipelines.download.addresses.is_public", lambda text: text == "127.0.0.2")
    ports = (port_of(outside), port_of(inside))
    for target in (inside.url, f"http://inside.test:{port_of(inside)}"):
        found = get(f"{outside.url}/to?{target}/p/1.jpg", allow_private=False, ports=ports, lookup=answers("127.0.0.1"))
        assert found.facts["error"] == "address"
    assert outside.hits["/to"] == 2
    assert not inside.hits


def test_rebinding(start_server: Callable[[str], Server], get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is public when it is checked and private when it is asked again: it is not asked again before the connection."""
    outside, inside = start_server("127.0.0.2"), start_server("127.0.0.1")
    monkeypatch.setattr("pipelines.download.addresses.is_public", lambda text: text == "127.0.0.2")
    port = port_of(outside)
    settings: dict[str, Any] = {"allow_private": False, "ports": (port,), "respect_opt_out": False}
    first, second = get(
        f"http://turns.test:{port}/p/1.jpg", f"http://turns.test:{port}/p/2.jpg", lookup=answers("127.0.0.2", "127.0.0.1"), **settings
    )
    assert first.body is not None
    assert second.body is not None
    assert set(outside.hosts) == {f"turns.test:{port}"}
    monkeypatch.setattr("pipelines.download.addresses.FRESH_S", -1.0)  # every connection asks anew
    lookup = answers("127.0.0.2", "127.0.0.1")
    found = get(f"http://turns.test:{port}/reset", lookup=lookup, **settings)  # the client connects once more by itself
    assert found.facts["error"] == "address"
    assert outside.hits["/reset"] == 1
    assert not inside.hits


def test_every_connection_is_looked_at_once_more() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 80))
    with pytest.raises(BlockedAddressError):
        checked_socket(False)(info)
    checked_socket(True)(info).close()
