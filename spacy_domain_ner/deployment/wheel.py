"""The wheel of a package: building it, and finding it."""

import subprocess
import sys
from pathlib import Path
from shutil import rmtree

from spacy_domain_ner.errors import UserError


def build_wheel(folder: Path) -> None:
    """Build the wheel of a package's source folder, in `dist/`.

    Raises:
        UserError: The build fails.
    """
    # Without isolation nothing is downloaded: what the build needs is among this package's requirements.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise UserError(f"The wheel could not be built:\n{last}", "pip install --upgrade build setuptools")
    # What the build leaves beside the wheel would be taken for the package.
    for left_over in [folder / "build", *folder.glob("*.egg-info")]:
        if left_over.exists():
            rmtree(left_over)


def find_wheel(package: Path) -> Path:
    """Find the wheel that a path stands for.

    Args:
        package: A wheel, or the folder of a package that has one.

    Returns:
        The wheel.

    Raises:
        UserError: There is none.
    """
    wheels = [package] if package.suffix == ".whl" and package.is_file() else sorted(package.glob("dist/*.whl"))
    if not wheels:
        raise UserError(f"There is no wheel in {package}", "Build it first: weasel run package")
    return wheels[-1]
