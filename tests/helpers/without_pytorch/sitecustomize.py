"""Hides PyTorch from a process whose PYTHONPATH has this folder: most users of the CPU model have none.

spaCy imports PyTorch and spacy-transformers wherever they are installed, which takes several times as long as all the
rest of its start. Tests start hundreds of processes.
"""

import sys
from collections.abc import Iterable
from importlib import metadata

HIDDEN = ("torch", "transformers", "spacy_transformers")

for name in HIDDEN:
    # An import of it fails, as if it were not installed.
    sys.modules[name] = None  # type: ignore[assignment]

find = metadata.MetadataPathFinder.find_distributions


def find_distributions(
    context: metadata.DistributionFinder.Context = metadata.DistributionFinder.Context(),
) -> Iterable[metadata.Distribution]:
    """The installed distributions but the hidden ones, whose entry points spaCy would load."""
    return [found for found in find(context) if found._path.name.partition("-")[0] not in HIDDEN]  # type: ignore[attr-defined]


metadata.MetadataPathFinder.find_distributions = staticmethod(find_distributions)  # type: ignore[assignment]
