"""The command line: `domain-ner VERB`, and the same as `python -m spacy domain-ner VERB`. One module per verb."""

import os
import sys
from typing import NoReturn


def main() -> None:
    """The command `domain-ner`."""
    from spacy_domain_ner.blas import THREADS

    # Read when NumPy is imported. PyTorch has threads of its own.
    if not any(os.environ.get(name) for name in THREADS):
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        # Here, so that Ctrl-C is one line from the beginning.
        from spacy_domain_ner.cli._app import app

        app(prog_name="domain-ner")
    except KeyboardInterrupt:
        interrupted()


def interrupted() -> NoReturn:
    """End as a shell reports an end by Ctrl-C: with 128 + SIGINT."""
    print("Interrupted. Run the same command again.", file=sys.stderr)
    sys.exit(130)
