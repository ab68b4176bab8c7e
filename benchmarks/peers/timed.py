"""Time a command: the last line says how long it took, as JSON. Standard library only.

    python timed.py MEGABYTES VERSION PROGRAM ARGUMENT ...

Where an argument is {}, the last one, an empty folder, takes its place. What the command prints is thrown away.
"""

import json
import subprocess
import sys
import time


def main() -> None:
    megabytes, version, *command, folder = sys.argv[1:]
    command = [argument.replace("{}", folder) for argument in command]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(json.dumps({"version": version, "count": int(megabytes), "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
