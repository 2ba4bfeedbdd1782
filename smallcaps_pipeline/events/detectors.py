def read_detectors(v):
    return v


class Detector: ...
