"""The methods' speed, each script in a process of its own; ``helo.py`` beside this needs POT and is run by itself. On two
cores it takes about twenty minutes, nearly all of it the dense references: ``--quick`` leaves the largest sizes out.

    python tools/bench/methods.py [--quick]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

SCRIPTS: dict[str, list[str]] = {"m3d.py": ["--sizes", "3000"], "sdcnet.py": [], "adaptation.py": []}
FULL = {"m3d.py": ["--sizes", "3000", "5000", "10000"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    quick = parser.parse_args().quick
    failed = 0
    for script, words in SCRIPTS.items():
        print(f"\n{script}", flush=True)
        arguments = words if quick else FULL.get(script, words)
        failed |= subprocess.run([sys.executable, Path(__file__).with_name(script), *arguments], check=False).returncode
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
