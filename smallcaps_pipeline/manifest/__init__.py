"""Manifest: events in, the ones worth fetching out."""
