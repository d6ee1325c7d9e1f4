"""The arguments and options that several verbs share. A test compares their defaults with those of the library."""

from pathlib import Path

import typer

from spacy_domain_ner.evaluation import gates

# The passages to label next, and what chooses them.
NEXT, MODEL_BEST = Path("assets/next.jsonl"), Path("training/model-best")

# What a verb trains, and how: the fields of `training.Recipe`.
CONFIG = typer.Argument(..., help="Training config")
TRAIN = typer.Option(Path("corpus/train.jsonl"), help="Training set (JSON lines)")
DEV = typer.Option(Path("corpus/dev.jsonl"), help="Dev set, which decides when training stops (JSON lines)")
MAX_EPOCHS = typer.Option(30, help="Most passes over the training set")
PATIENCE_EPOCHS = typer.Option(
    5, "--patience", help="Stop after this many epochs without a better F1; without a transformer also 1,000 steps"
)
SEED = typer.Option(0, help="Seed of everything random")
GPU_ID = typer.Option("auto", help="GPU to use, -1 for the CPU; auto takes one for a transformer, if there is one")
WORDS = typer.Option(
    None, help="What cnn knows about words: minilm, none, another preset, owner/name, or an encoder's folder"
)

# What a model is measured by.
EVAL = typer.Option(Path("corpus/eval.jsonl"), help="Evaluation set (JSON lines)")
GATE = typer.Option(gates.GATE, help="F1 per type from which a type is ready for production")
FALLBACK = typer.Option(gates.FALLBACK, help="F1 per type below which a type needs another way")

# How entities are found in texts, and which are kept.
BATCH_SIZE = typer.Option(
    None, "--batch-size", "-b", help="Passages that are read at once; if not given, the model's own number"
)
WINDOW = typer.Option(
    None, help="Read a longer passage in parts of at most this many characters, cut at sentence ends: saves memory"
)
MIN_CONFIDENCE: list[str] = typer.Option(
    [], help="Keep only entities with at least this confidence, 0 to 1; for one type: TYPE=0.8. Can be repeated"
)
PRECISION = typer.Option(
    None, help="Keep only entities that are sure enough for their type to reach this precision, 0 to 1"
)
KEEP_UNPROVEN = typer.Option(
    True,
    "--keep-unproven/--drop-unproven",
    help="With --precision, a type of which too few entities were held out in training to show any precision",
)
EXPECTED = typer.Option(
    False, "--expected", help="Also write how many entities the model expects, and which model it is: for `monitor`"
)

# The help of what the verbs that read texts have in common.
FILE_FORMAT = "jsonl, json, text, csv (any table of text), html or parquet; if not given, each file is looked at"
ENCODING = "The encoding of files without a byte order mark, such as cp1252"
TEXT_KEY = "The key of the text in JSON records, and its column in tables"
