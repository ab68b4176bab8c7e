"""The event loop that carries requests."""

import asyncio


def event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed (it is not made for Windows): less processor time a request."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
