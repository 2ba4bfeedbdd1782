"""Micro: what trades and quotes around an event say."""
