"""`small_chapter.py`, which the tests of this folder import."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode leaves the folder of a test off the path
