"""Rewriting captions through OpenAI-compatible endpoints: settings, routing, faults, cache, and the loop that drives it."""
