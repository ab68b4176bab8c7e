"""robots.txt (RFC 9309) of every host that a URL or a redirect leads to, fetched once a run.

Protego (Scrapy's parser) reads it: urllib.robotparser knows neither wildcards nor the rule that the longest match decides,
and both are common where pictures are excluded (``Disallow: /*.jpg$``).
"""

import asyncio
import dataclasses
import time
from collections import OrderedDict

import aiohttp
from protego import Protego
from yarl import URL

from pipelines.download.body import Body, read_body
from pipelines.download.client import Client
from pipelines.download.faults import Fault
from pipelines.download.retries import with_retries

LIMIT = 512_000
"""More is not asked for: RFC 9309 wants at least 500 KiB to be read."""
REMEMBERED = 20_000
FAULT_S = 60.0
"""After so long a host whose file could not be had is asked for it again."""

Rules = Protego | Fault | None
"""None: everything is allowed. A fault: nothing is."""


class Robots:
    """Asks before a URL is fetched. Rules of the last `REMEMBERED` hosts are kept."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: OrderedDict[URL, tuple[float, asyncio.Future[Rules]]] = OrderedDict()

    async def check(self, url: URL) -> Fault | None:
        """Why the URL is not fetched, or None.

        A host without the file (4xx) allows everything; one that fails to deliver it (5xx, no answer) nothing.
        """
        origin, now = url.origin(), time.monotonic()
        since, asked = self._known.get(origin, (now, None))
        if asked is None or (now - since > FAULT_S and asked.done() and isinstance(asked.result(), Fault)):
            asked = asyncio.ensure_future(self._fetch(origin))
            self._known[origin] = (now, asked)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        rules = await asyncio.shield(asked)
        if rules is None or isinstance(rules, Fault):
            return rules
        for agent in self._client.settings.agents:
            if not rules.can_fetch(str(url), agent):
                return Fault("robots", f"robots.txt of {url.host} does not allow it for {agent}")
        return None

    async def _fetch(self, origin: URL) -> Rules:
        answer = await with_retries(lambda: self._client.get(origin / "robots.txt", _text), self._client.settings)
        if isinstance(answer, Fault):
            return _without_rules(answer, origin)
        body = answer.content
        text = b"".join(body.pieces()).decode("utf-8", "replace").removeprefix("\ufeff")
        body.close()
        try:
            return await asyncio.to_thread(Protego.parse, text)
        except Exception:  # whatever a hostile file makes a parser raise
            return Fault("robots", f"robots.txt of {origin.host} cannot be read")


def _without_rules(fault: Fault, origin: URL) -> Rules:
    if fault.status is not None and fault.status < 500 and fault.status != 429:
        return None
    if fault.kind in ("address", "dns", "connection", "tls", "timeout", "url"):
        return dataclasses.replace(fault, may_pass=False, tried=False)  # the host itself cannot be reached: no matter of robots
    if fault.kind == "redirect":
        return None  # RFC 9309: more than five redirects count as not there
    return Fault("robots", f"robots.txt of {origin.host} cannot be had ({fault.message}), which forbids everything", fault.status)


async def _text(response: aiohttp.ClientResponse) -> Body | Fault:
    return await read_body(response, LIMIT, (), ())
