"""How many tokens a text has, before anybody is asked: counted where that needs no network, else estimated."""

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from spacy_domain_ner.llm.content import likely_tokens

# Where tiktoken keeps the vocabularies that it has downloaded.
_CACHES = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")


class TokenCounter:
    """Counts tokens with tiktoken where it has the model's vocabulary on the disk; it is never made to download one.

    Attributes:
        is_exact: Whether tokens are counted with the model's own vocabulary. Otherwise their number is estimated from
            the bytes, rather too many.
    """

    def __init__(self, model: str) -> None:
        """Find the vocabulary.

        Args:
            model: The model's name.
        """
        self._encoding = _encoding(model)
        self.is_exact = self._encoding is not None

    def __call__(self, text: str) -> int:
        """Count the tokens of a text."""
        if self._encoding is None:
            return likely_tokens(text)
        return len(self._encoding.encode(text, disallowed_special=()))


@lru_cache
def _encoding(model: str) -> Any:
    try:
        import tiktoken
    except ImportError:
        return None
    folders = [Path(os.environ[name]) for name in _CACHES if os.environ.get(name)]
    kept = folders[0] if folders else Path(tempfile.gettempdir()) / "data-gym-cache"
    if not kept.is_dir() or not any(kept.iterdir()):
        return None
    try:
        name = tiktoken.encoding_name_for_model(model)
        # Only what is there: a vocabulary that is missing would be fetched from a host that nobody has named.
        return tiktoken.get_encoding(name) if len(list(kept.iterdir())) and _is_kept(kept, name) else None
    except Exception:
        return None


def _is_kept(folder: Path, name: str) -> bool:
    """Whether a vocabulary is on the disk: tiktoken names the file by the hash of its address."""
    import hashlib

    from tiktoken_ext import openai_public

    address = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    known = name in openai_public.ENCODING_CONSTRUCTORS
    return known and (folder / hashlib.sha1(address.encode()).hexdigest()).is_file()
