"""How this process uses LSL, where its user has not said so in a configuration file of liblsl's own."""

from __future__ import annotations

import os
from pathlib import Path

LOG_FATAL = -3  # liblsl's level: below it, it prints an ERR line for every stream that ends, which sources tell anyway
# Where liblsl looks, in its order.
CONFIG_FILES = (Path("lsl_api.cfg"), Path("~/lsl_api/lsl_api.cfg"), Path("/etc/lsl_api/lsl_api.cfg"))


def configure(session_id: str = "", *, local: bool = False) -> bool:
    """Keeps liblsl's log off the terminal; to be called before any other use of LSL in the process.

    ``session_id`` hides our streams from other sessions and theirs from us; ``local`` keeps both on this machine, so
    that a demonstration works without a network and disturbs none. A configuration file of the user's own (or
    LSLAPICFG) is obeyed instead: then nothing is done, and False returned. Child processes do not inherit this.
    """
    if os.environ.get("LSLAPICFG") or any(path.expanduser().is_file() for path in CONFIG_FILES):
        return False
    import pylsl

    pylsl.set_config_content(content(session_id, local=local))
    return True


def content(session_id: str, *, local: bool) -> str:
    """The text of a configuration file of liblsl."""
    lines = ["[log]", f"level = {LOG_FATAL}"]
    if session_id or local:
        lines.append("[lab]")
    if session_id:
        lines.append(f"SessionID = {session_id}")
    if local:
        # Known peers are asked one by one: it works where multicast does not, in containers for one.
        # Only streams within the range of ports are then found, and each takes one, two with IPv6: liblsl's own 32 would
        # do for eight replays and whatever else there is.
        lines += ["KnownPeers = {127.0.0.1}", "[multicast]", "ResolveScope = machine"]
        lines += ["[ports]", "IPv6 = disable", "PortRange = 128"]
    return "\n".join(lines) + "\n"
