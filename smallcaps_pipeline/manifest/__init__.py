"""Manifest: events in, the ones worth fetching out."""

from smallcaps_pipeline.manifest.build import Manifest, build_manifest
from smallcaps_pipeline.manifest.nbbo_level import NbboLevel, finest

__all__ = ["Manifest", "NbboLevel", "build_manifest", "finest"]
