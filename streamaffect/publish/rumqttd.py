"""The embedded broker's process: ``python -m streamaffect.publish.rumqttd PORT PORT_V5 PORT_WS``.

It ends when its standard input does, so also when its parent was killed.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from pathlib import Path

HOST = "127.0.0.1"

# rumqttd has no defaults for these. Segments bound what it keeps of a topic for slow subscribers: 10 of 1 MiB.
_CONFIG = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
"""
_LISTENER = """
[{kind}.1]
name = "{kind}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[{kind}.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 100
dynamic_filters = true
"""


def config(port: int, port_v5: int, port_ws: int) -> str:
    """rumqttd's TOML: one listener for each of MQTT 3.1.1, MQTT 5 and 3.1.1 over WebSocket."""
    ports = {"v4": port, "v5": port_v5, "ws": port_ws}
    return _CONFIG + "".join(_LISTENER.format(kind=kind, host=HOST, port=port) for kind, port in ports.items())


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    from iotcore import IotCoreBroker

    # rumqttd logs each packet as an error, from within spans of that level.
    logging.basicConfig(level=logging.CRITICAL)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="streamaffect-broker-") as folder:
        path = Path(folder, "rumqttd.toml")
        path.write_text(config(*map(int, sys.argv[1:])), encoding="utf-8")
        broker = IotCoreBroker(config_path=str(path))
    broker.run_forever()


if __name__ == "__main__":
    main()
