"""streamaffect: a real-time, calibration-free affect engine.

Importing the package costs nothing: torch, ONNX Runtime, pylsl, neurokit2 and pydantic are imported where they are used.
"""

import os

__version__ = "0.1.0"

# ONNX Runtime's wheels report their use to Microsoft from 1.29 on, and write a device id, unless told not to before they
# are loaded. Nothing of ours leaves the machine but what the user's broker gets.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
