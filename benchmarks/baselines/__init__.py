"""The rules of SPEC §2 and §3 written in other ways, to measure detection against.

Each module has `events(files, settings)`: the raw events (before filters, duplicates and groups) of
files of clean bars, as a frame of `EVENTS.key`. A test holds them to the events of the product, so
that what is compared is the same work; they do less of it: no cleaning, score, filters or groups.
"""
