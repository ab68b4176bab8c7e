"""cleanvision's checks for blurred, dark, light and uninformative pictures of a folder, two workers. Prints JSON.

Runs in an environment of its own (see requirements-cleanvision.txt): python cleanvision_issues.py FOLDER
"""

import json
import sys
import time
from importlib.metadata import version

from cleanvision import Imagelab


def main() -> None:
    started = time.perf_counter()
    lab = Imagelab(data_path=sys.argv[1])
    listed = time.perf_counter()
    lab.find_issues({"blurry": {}, "dark": {}, "light": {}, "low_information": {}}, n_jobs=2, verbose=False)
    ended = time.perf_counter()
    found = {
        "count": len(lab.issues),
        "seconds": ended - listed,
        "wall_seconds": ended - started,
        "version": f"cleanvision {version('cleanvision')}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
