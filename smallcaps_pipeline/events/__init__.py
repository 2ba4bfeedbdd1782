"""Events: bars in, detected moves out."""

from smallcaps_pipeline.events.detect import Detection, detect, detect_events

__all__ = ["Detection", "detect", "detect_events"]
