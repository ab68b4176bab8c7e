"""Cuts that PySceneDetect finds in the MP4 files of a folder, default settings. Prints JSON.

Runs in an environment of its own (see requirements-scenedetect.txt): python scene_cuts.py adaptive|content FOLDER
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import scenedetect


def main() -> None:
    detector = {"adaptive": scenedetect.AdaptiveDetector, "content": scenedetect.ContentDetector}[sys.argv[1]]
    paths = sorted(Path(sys.argv[2]).glob("*.mp4"))
    started = time.perf_counter()
    scenes = {path.name: scenedetect.detect(str(path), detector()) for path in paths}
    ended = time.perf_counter()
    found = {name: [(scene[0].frame_num, scene[0].frame_num) for scene in of[1:]] for name, of in scenes.items()}
    print(
        json.dumps(
            {"version": f"scenedetect {version('scenedetect')}", "count": len(paths), "seconds": ended - started, "transitions": found}
        )
    )


if __name__ == "__main__":
    main()
