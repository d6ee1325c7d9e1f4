"""A pre-trained encoder's vocabulary, how its tokenizer takes words apart, and its table of vectors.

Neither its layers nor its code are read, and PyTorch is needed only where the weights are in PyTorch's own form.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy

from spacy_domain_ner.components.word_pieces import INSIDE, LONGEST_WORD, read_safetensors
from spacy_domain_ner.errors import UserError, reason

INSTALL = "python -m pip install 'spacy-domain-ner[words]'"
TABLE = re.compile(r"(^|\.)embeddings\.word_embeddings\.weight$")
SAFETENSORS, SHARDS, PYTORCH = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
# The files by which vocabularies of other kinds are known.
OTHER_VOCABULARIES = {
    "BPE": ("merges.txt", "vocab.json"),
    "SentencePiece": ("spm.model", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
}
# A larger share of pieces with capitals means that the vocabulary has them.
CASED = 0.01


@dataclass(frozen=True)
class Encoder:
    """What is read of an encoder.

    Attributes:
        pieces: The vocabulary, in the order of the rows.
        vectors: The table: a row per piece.
        tokenizer: `lowercase`, `strip_accents`, `split_cjk` and `unknown`, as `WordPieceEmbed.v1` wants them.
        licence: The licence that its page or its card states; "" if none.
    """

    pieces: list[str]
    vectors: numpy.ndarray
    tokenizer: dict[str, Any]
    licence: str


def read_encoder(name: str) -> Encoder:
    """Read an encoder of the hub, which is downloaded if it is not on this machine yet, or in a folder.

    Args:
        name: A hub's owner/name, or a folder that `save_pretrained` wrote.

    Raises:
        UserError: If it is not there, its vocabulary is not WordPiece, or a package is missing.
    """
    files = Folder(name) if Path(name).is_dir() else Hub(name)
    try:
        pieces, tokenizer = _read_vocabulary(files)
        vectors = _read_table(files, len(pieces))
    except UserError:
        if isinstance(files, Hub) and files.unreached:
            # What is missing may only be out of reach.
            raise _not_found(name, files.unreached) from None
        raise
    card = files.find("README.md")
    return Encoder(pieces, vectors, tokenizer, _licence(card) if card else "")


class Folder:
    """The files of an encoder in a folder."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, file: str) -> Path | None:
        """Find a file. None if the encoder has no such file."""
        path = Path(self.name, file)
        return path if path.is_file() else None


class Hub(Folder):
    """The files of an encoder of the hub."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.unreached: Exception | None = None

    def find(self, file: str) -> Path | None:
        """Download a file, or find it among those that were downloaded before."""
        try:
            from huggingface_hub import hf_hub_download
            from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError, logging
        except ImportError as error:
            what = f"To take words from {self.name}, a package is needed: {reason(error)}"
            raise UserError(what, INSTALL) from error
        # What it says of each new try is said once, at the end.
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        try:
            # It tries for half a minute: where it could not reach the hub once, only what is here counts.
            return Path(hf_hub_download(self.name, file, local_files_only=self.unreached is not None))
        except LocalEntryNotFoundError as error:
            self.unreached = self.unreached or error
            return None
        except EntryNotFoundError:
            return None
        except Exception as error:  # the hub's client, requests and the file system each have errors of their own
            raise _not_found(self.name, error) from error
        finally:
            logging.set_verbosity(verbosity)


def _not_found(name: str, error: Exception) -> UserError:
    return UserError(
        f"The encoder {name} can't be downloaded: {reason(error)[:300]}",
        "Check the name and the connection. Without a connection, save the encoder elsewhere with save_pretrained, "
        "copy the folder to this machine, and give its path as `words`; or take minilm, which needs no download.",
    )


def _read_vocabulary(files: Folder) -> tuple[list[str], dict[str, Any]]:
    name = files.name
    settings = files.find("tokenizer_config.json")
    told = _object(name, settings) if settings else {}
    if path := files.find("tokenizer.json"):
        pieces, tokenizer = _from_tokenizer(name, _object(name, path))
    elif path := files.find("vocab.txt"):
        pieces = _text(name, path).removesuffix("\n").split("\n")
        tokenizer = {"lowercase": True, "strip_accents": None, "split_cjk": True, "unknown": "[UNK]"}
    else:
        for kind, marks in OTHER_VOCABULARIES.items():
            if any(map(files.find, marks)):
                raise refused(name, kind)
        raise _unusable(name, "it has neither a vocab.txt nor a tokenizer.json")
    # These count for more than tokenizer.json, as in transformers.
    for key, setting in (
        ("lowercase", "do_lower_case"), ("strip_accents", "strip_accents"), ("split_cjk", "tokenize_chinese_chars"),
        ("unknown", "unk_token"),
    ):  # fmt: skip
        value = told.get(setting)
        tokenizer[key] = value if isinstance(value, str if key == "unknown" else bool) else tokenizer[key]
    if tokenizer["lowercase"] and _is_cased(pieces):
        # As BioBERT, which has no tokenizer_config.json: nothing says so, but its vocabulary shows it.
        tokenizer["lowercase"] = False
    if tokenizer["strip_accents"] is None:
        tokenizer["strip_accents"] = tokenizer["lowercase"]
    if tokenizer["unknown"] not in pieces:
        raise _unusable(name, f"its vocabulary has no piece {tokenizer['unknown']} for unknown words")
    return pieces, tokenizer


def _from_tokenizer(name: str, content: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    model, normalizer = content.get("model") or {}, content.get("normalizer") or {}
    kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else "unknown")
    if kind != "WordPiece":
        raise refused(name, kind)
    pretokenizer = (content.get("pre_tokenizer") or {}).get("type", "none")
    if normalizer.get("type") != "BertNormalizer" or pretokenizer != "BertPreTokenizer":
        found = f"{normalizer.get('type', 'none')} and {pretokenizer}"
        raise _unusable(name, f"its tokenizer does not prepare words as BERT's does (tokenizer.json has {found})")
    prefix, longest = model.get("continuing_subword_prefix"), model.get("max_input_chars_per_word", LONGEST_WORD)
    if prefix != INSIDE or longest != LONGEST_WORD:
        raise _unusable(name, f"its pieces are not BERT's: they continue with {prefix!r}, in words of up to {longest}")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise _unusable(name, "the pieces in its tokenizer.json are not numbered from 0")
    return sorted(vocabulary, key=vocabulary.__getitem__), {
        "lowercase": bool(normalizer.get("lowercase", True)),
        "strip_accents": normalizer.get("strip_accents"),
        "split_cjk": bool(normalizer.get("handle_chinese_chars", True)),
        "unknown": model.get("unk_token", "[UNK]"),
    }


def refused(name: str, kind: str) -> UserError:
    """Say that a vocabulary is of a kind that can't be used."""
    return UserError(
        f"Words can't be taken from {name}: its vocabulary is of the kind {kind}, and a packaged model takes words "
        "apart without the library that this needs: only WordPiece can be used",
        "Choose an encoder of BERT's kind, such as minilm, biobert, pubmedbert, legal-bert or finbert.",
    )


def _unusable(name: str, why: str) -> UserError:
    return UserError(
        f"Words can't be taken from {name}: {why}", "Choose another encoder, or `words=none` to train without one."
    )


def _is_cased(pieces: list[str]) -> bool:
    words = [piece for piece in pieces if not piece.startswith("[")]
    return sum(piece != piece.lower() for piece in words) > CASED * len(words)


def _read_table(files: Folder, pieces: int) -> numpy.ndarray:
    """Read the table of vectors, and no other weights, from whichever file has it."""
    name, vectors = files.name, None
    for path in _weight_files(files):
        vectors = _from_pytorch(name, path) if path.name == PYTORCH else _from_safetensors(name, path)
        if vectors is not None:
            break
    if vectors is None:
        raise _unusable(name, "its weights have no embeddings.word_embeddings.weight, as a BERT's have")
    # Some tables are longer than the vocabulary, up to a round number.
    if vectors.ndim != 2 or len(vectors) < pieces:
        raise _unusable(name, f"its table has {len(vectors)} rows for {pieces} pieces")
    vectors = vectors[:pieces]
    if not numpy.isfinite(vectors).all():
        raise _unusable(name, "its table has values that are not numbers")
    return vectors


def _weight_files(files: Folder) -> Iterator[Path]:
    if path := files.find(SAFETENSORS):
        yield path
    elif index := files.find(SHARDS):
        shards = _object(files.name, index).get("weight_map", {})
        for key in sorted((key for key in shards if TABLE.search(key)), key=len)[:1]:
            if path := files.find(shards[key]):
                yield path
    elif path := files.find(PYTORCH):
        yield path
    else:
        raise _unusable(files.name, f"it has no weights ({SAFETENSORS} or {PYTORCH})")


def _from_safetensors(name: str, path: Path) -> numpy.ndarray | None:
    try:
        with path.open("rb") as stream:
            # Only the pages that the table is on are read.
            content = mmap(stream.fileno(), 0, access=ACCESS_READ)
        _, tensors = read_safetensors(memoryview(content))
        keys = sorted(filter(TABLE.search, tensors), key=len)
        return _floats(tensors[keys[0]]) if keys else None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise _unusable(name, f"{path.name} is damaged ({reason(error)[:100]})") from error


def _floats(table: numpy.ndarray) -> numpy.ndarray:
    # bfloat16, which numpy does not have, is the upper half of float32.
    return (table.astype("u4") << 16).view("f4") if table.dtype == "u2" else table.astype("f4")


def _from_pytorch(name: str, path: Path) -> numpy.ndarray | None:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"The weights of {name} are in PyTorch's own form ({path.name}), and PyTorch is not installed",
            "python -m pip install torch --index-url https://download.pytorch.org/whl/cpu; it is needed only to read "
            "the words, not for the trained model",
        ) from None
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except Exception as error:  # pickle, zipfile and torch each have errors of their own
        raise _unusable(name, f"{path.name} is damaged or not only weights ({reason(error)[:100]})") from error
    keys = sorted((key for key in weights if isinstance(key, str) and TABLE.search(key)), key=len)
    table: numpy.ndarray | None = weights[keys[0]].float().numpy().copy() if keys else None
    return table


def _is_zip(path: Path) -> bool:
    """Whether PyTorch can read single tensors of a file: what was saved before 2020 has another form."""
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def _licence(card: Path) -> str:
    """The licence in the head of a model's card."""
    text = card.read_text(encoding="utf8", errors="replace")
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
    return found[1] if found else ""


def _object(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(name, path))
    except ValueError as error:
        raise _unusable(name, f"{path.name} is not JSON ({reason(error)})") from error
    return content if isinstance(content, dict) else {}


def _text(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(name, f"{path.name} can't be read ({reason(error)})") from error
