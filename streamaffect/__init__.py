"""streamaffect: a real-time, calibration-free affect engine.

Importing the package costs nothing: torch, ONNX Runtime, pylsl, neurokit2 and pydantic are imported where they are used.
"""

__version__ = "0.1.0"
