"""A JSON file that holds one object, such as the figures that a verb has written."""

from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.errors import UserError


def read_object(path: str | Path, otherwise: str, hint: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file.
        otherwise: What to say of a file that holds something else, after its name.
        hint: What to do then, or where there is no such file.

    Raises:
        UserError: There is none, it can't be read, or it holds something else.
    """
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}", hint)
    try:
        read = srsly.read_json(path)
    except OSError as error:
        raise UserError(f"Can't read {path}: {error.strerror}", hint) from None
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise UserError(f"{path} {otherwise}", hint)
    return read
