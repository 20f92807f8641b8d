"""Pages that Vite builds from the package and its bindings, as a front-end developer does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NODE_MODULES: Final = ROOT / "node_modules"
EXAMPLES: Final = ROOT / "docs" / "examples" / "front-end"
BINDINGS: Final = ("react", "vue", "svelte", "elements")


def build(config: Path, folder: Path) -> Path:
    """Build the pages of Vite's configuration into the folder; the folder.

    Raises:
        AssertionError: the packages are not installed, or it cannot be built.
    """
    vite = NODE_MODULES / ".bin" / "vite"
    assert vite.exists(), "the front-end's packages are not installed: make node-packages"
    done = subprocess.run(
        [
            vite,
            "build",
            "--config",
            config,
            "--outDir",
            folder,
            "--emptyOutDir",
            "--logLevel=error",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
