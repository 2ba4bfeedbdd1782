"""Settings: frozen models of config/config.yaml.

Belongs here: the shape of the configuration, and what is a contradiction in it.
Keep out: default numbers (they stand once, in config/config.yaml, which every user file overlays)
and detector thresholds (each detector declares its own beside its rule, events/detectors.py).

A user's file holds only the keys that it changes. An unknown key, a wrong type or a contradiction
raises one `SettingsError` that names every offending key by its path.
"""

from smallcaps_pipeline.settings.base import (
    BarsBySession,
    ByDirection,
    BySession,
    Range,
    Section,
)
from smallcaps_pipeline.settings.detection import (
    Duplicates,
    Events,
    Features,
    Filters,
    FlatFiles,
    Partitions,
    Provider,
    Score,
    ScoreWeights,
    Universe,
)
from smallcaps_pipeline.settings.judgement import (
    BarKpis,
    EventKpis,
    Extension,
    ExtraFeatures,
    Kpis,
    Micro,
    Report,
    TripleBarrier,
    WindowKpis,
    Windows,
)
from smallcaps_pipeline.settings.load import (
    CONFIG_VARIABLE,
    SHIPPED_CONFIG,
    Settings,
    SettingsError,
    load_settings,
    read_settings,
)
from smallcaps_pipeline.settings.manifest import (
    Cohort,
    Manifest,
    Profile,
)

__all__ = [
    "CONFIG_VARIABLE",
    "SHIPPED_CONFIG",
    "BarKpis",
    "BarsBySession",
    "ByDirection",
    "BySession",
    "Cohort",
    "Duplicates",
    "EventKpis",
    "Events",
    "Extension",
    "ExtraFeatures",
    "Features",
    "Filters",
    "FlatFiles",
    "Kpis",
    "Manifest",
    "Micro",
    "Partitions",
    "Profile",
    "Provider",
    "Range",
    "Report",
    "Score",
    "ScoreWeights",
    "Section",
    "Settings",
    "SettingsError",
    "TripleBarrier",
    "Universe",
    "WindowKpis",
    "Windows",
    "load_settings",
    "read_settings",
]
