"""Tiny transformers with random weights, each with a real tokenizer of its kind, built from the starter corpus."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STARTER = Path(__file__).parents[2] / "assets/software/starter.jsonl"
# As save_pretrained writes them.
KINDS = ("wordpiece-cased", "wordpiece-uncased", "byte-bpe", "sentencepiece")
# As their publishers put them on the hub: BioBERT without a tokenizer_config.json, DeBERTa with no more than spm.model.
BARE = ("wordpiece-bare", "sentencepiece-bare")
# The longest input of all of them, as of the presets.
LONGEST = 512
PIECES = 1000


def build(kind: str, folder: Path) -> Path:
    """Make the folder of a transformer of that kind. RETURNS: The folder."""
    import torch
    from transformers import AutoModel

    folder.mkdir(parents=True)
    config = _tokenizer(kind, folder)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder, safe_serialization=True)
    return folder


def _tokenizer(kind: str, folder: Path) -> Any:
    """Write a tokenizer's files. RETURNS: The config of a model for it."""
    from transformers import BertConfig, DebertaV2Config, RobertaConfig

    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if kind.startswith("wordpiece"):
        pieces = _wordpiece(kind, folder)
        return BertConfig(vocab_size=pieces, max_position_embeddings=LONGEST, **size)
    if kind == "byte-bpe":
        pieces = _byte_bpe(folder)
        # RoBERTa begins to count positions behind that of padding.
        special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
        return RobertaConfig(
            vocab_size=pieces, max_position_embeddings=LONGEST + 2, type_vocab_size=1, **special, **size
        )
    pieces = _sentencepiece(kind, folder)
    # The values of DeBERTa v3, but for the sizes.
    return DebertaV2Config(
        vocab_size=pieces, max_position_embeddings=LONGEST, relative_attention=True, position_buckets=32,
        max_relative_positions=-1, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, type_vocab_size=0, **size,
    )  # fmt: skip


def _wordpiece(kind: str, folder: Path) -> int:
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertTokenizerFast

    lowers = kind == "wordpiece-uncased"
    trained = BertWordPieceTokenizer(lowercase=lowers, strip_accents=lowers)
    trained.train_from_iterator(_texts(), vocab_size=PIECES, show_progress=False)
    trained.save_model(str(folder))
    if kind != "wordpiece-bare":
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=lowers, model_max_length=LONGEST)
        tokenizer.save_pretrained(folder)
    return trained.get_vocab_size()


def _byte_bpe(folder: Path) -> int:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(_texts(), vocab_size=PIECES, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))
    files = (str(folder / "vocab.json"), str(folder / "merges.txt"))
    RobertaTokenizerFast(*files, model_max_length=LONGEST).save_pretrained(folder)
    return trained.get_vocab_size()


def _sentencepiece(kind: str, folder: Path) -> int:
    from sentencepiece import SentencePieceTrainer
    from transformers import DebertaV2TokenizerFast

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=_texts(), model_writer=model, vocab_size=PIECES, model_type="unigram", num_threads=1,
        pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]",
        unk_piece="[UNK]", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "spm.model").write_bytes(model.getvalue())
    # As microsoft/deberta-v3-base has it: it says nothing of the longest input.
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "vocab_type": "spm"}')
    tokenizer = DebertaV2TokenizerFast.from_pretrained(folder)
    if kind != "sentencepiece-bare":
        tokenizer.model_max_length = LONGEST
        tokenizer.save_pretrained(folder)
    return len(tokenizer)


def _texts() -> Iterator[str]:
    for line in STARTER.read_text(encoding="utf8").splitlines()[:600]:
        yield json.loads(line)["text"]
