"""``streamaffect devices``: the device profiles."""

from __future__ import annotations

import argparse

from streamaffect.cli.output import print_json, print_table
from streamaffect.cli.parsing import add_json

ABOUT = "list the device profiles"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    add_json(parser)


def call(args: argparse.Namespace) -> int:
    """Print each profile and, as JSON, its streams."""
    from streamaffect.sources import devices

    profiles = [devices.get(name) for name in devices.names()]
    if not args.json:
        print_table(("DEVICE", "ABOUT"), [(profile.name, profile.about) for profile in profiles])
        return 0
    print_json(
        [
            {
                "name": profile.name,
                "about": profile.about,
                "streams": [
                    {
                        "modality": stream.modality,
                        "types": stream.content_types,
                        "channels": stream.channels,
                        "rate": stream.rate,
                        "optional": stream.optional,
                    }
                    for stream in profile.streams
                ],
            }
            for profile in profiles
        ]
    )
    return 0
