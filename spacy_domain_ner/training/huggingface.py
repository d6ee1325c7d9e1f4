"""Training a token classifier with transformers, from the annotation's character offsets."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from spacy.language import Language
from thinc.api import Config

from spacy_domain_ner.base_models.configure import INSTALL
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.training.calibrating import calibrate_model
from spacy_domain_ner.training.replacing import replacing_models
from spacy_domain_ner.training.spacy_training import no_entities

# The loss passes these word pieces over.
NO_TAG = -100


class Settings(BaseModel):
    """The section [huggingface] of a config."""

    model_config = ConfigDict(extra="forbid")

    name: str
    # The special word pieces and a few more.
    max_length: int = Field(default=256, ge=8)
    overlap: int = Field(default=64, ge=0)
    tokenizer: dict[str, Any] = {}
    training: dict[str, Any] = {}


def train_with_huggingface(
    config_path: Path,
    config: Config,
    output_dir: Path,
    train_path: Path,
    dev_path: Path,
    *,
    max_epochs: int,
    patience_epochs: int,
    seed: int,
    gpu: int,
) -> None:
    """Train with early stopping on F1, and write a spaCy pipeline with the model as its one component.

    config_path, config: A config with a section `[huggingface]`.
    output_dir: Gets `model-best`.
    train_path, dev_path: The training and early-stopping sets, as .jsonl or as .spacy with the .jsonl beside it. The
        .jsonl is read: there a span need not begin and end where spaCy's tokens do.
    RAISES: UserError where a package is missing or a value is no good.
    """
    settings = _settings(config_path, config)
    if gpu > 0:
        raise UserError(
            f"gpu_id is {gpu}, and transformers' trainer takes the first GPU that it sees",
            f"Show it that one alone: set the environment variable CUDA_VISIBLE_DEVICES to {gpu}, and gpu_id to 0.",
        )
    try:
        from transformers import AutoModelForTokenClassification, AutoTokenizer, PrinterCallback, Trainer, set_seed
        from transformers.utils import logging

        from spacy_domain_ner.components.huggingface_ner import FACTORY, encode
    except ImportError as error:
        raise UserError(f"The framework huggingface needs more packages: {reason(error)}", INSTALL) from error
    passages = [_read(path.with_suffix(".jsonl")) for path in (train_path, dev_path)]
    tags = ["O", *(f"{prefix}-{label}" for label in _labels(passages) for prefix in ("B", "I"))]
    set_seed(seed)
    # It would say at length that the new head is new.
    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.name, trust_remote_code=False, **settings.tokenizer)
        model = AutoModelForTokenClassification.from_pretrained(
            settings.name,
            trust_remote_code=False,
            id2label=dict(enumerate(tags)),
            label2id={tag: number for number, tag in enumerate(tags)},
            # A model that was fine-tuned for something else has a head of another size.
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # the hub's client and the file system each have errors of their own
        raise UserError(
            f"The base model {settings.name} can't be used: {reason(error)}", "weasel run configure looks it up again."
        ) from error
    if not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__} is no fast tokenizer: its word pieces can't be traced to the text",
            "Leave use_fast at true in [huggingface.tokenizer] of configs/huggingface.cfg.",
        )
    sides = [
        [
            tagged(window, side[window["text"]].spans, model.config.label2id)
            for window in encode(tokenizer, [passage.text for passage in side], settings.max_length, settings.overlap)
        ]
        for side in passages
    ]
    own = settings.training.get("num_train_epochs")
    if isinstance(own, int) and own > 0:
        max_epochs = min(max_epochs, own)
    if not str(settings.training.get("lr_scheduler_type", "linear")).startswith("constant"):
        # While the rate falls the best is often still to come.
        patience_epochs = max_epochs
    with replacing_models(output_dir) as scratch:
        trainer = Trainer(
            model=model,
            args=_arguments(settings, scratch, max_epochs, seed, gpu),
            train_dataset=sides[0],
            eval_dataset=sides[1],
            data_collator=_collator(tokenizer),
            compute_metrics=_scorer(tags),
            callbacks=_callbacks(patience_epochs),
        )
        # The table says the same, in less.
        trainer.remove_callback(PrinterCallback)
        _train(trainer, config_path)
        # load_best_model_at_end: this is the best one by now.
        trainer.save_model(str(scratch / "best"))
        tokenizer.save_pretrained(scratch / "best")
        nlp = load_tokenizing_pipeline(config_path)
        component: Any = nlp.add_pipe(FACTORY, config={"max_length": settings.max_length, "overlap": settings.overlap})
        component.load(scratch / "best")
        _save(nlp, scratch / "model-best", settings.name)
        calibrate_model(scratch / "model-best", passages[1])


def tagged(window: Mapping[str, Any], spans: Sequence[Span], numbers: Mapping[str, int]) -> dict[str, Any]:
    """A window's inputs with the tag of each word piece, by the spans' offsets.

    RETURNS: The inputs with `labels`. A piece that a span touches has the span's tag, the first of them `B-`; pieces
        that stand for nothing have the number that the loss passes over.
    """
    offsets: numpy.ndarray = window["offsets"]
    labels = numpy.where(offsets[:, 1] > offsets[:, 0], numbers["O"], NO_TAG)
    for span in spans:
        touched = numpy.flatnonzero((offsets[:, 0] < span.end) & (offsets[:, 1] > span.start) & (labels != NO_TAG))
        labels[touched] = numbers[f"I-{span.label}"]
        # A window of a long passage may begin in the middle of a span.
        if len(touched) and (offsets[touched[0], 0] <= span.start or touched[0] > numpy.argmax(labels != NO_TAG)):
            labels[touched[0]] = numbers[f"B-{span.label}"]
    return {**{key: value for key, value in window.items() if key not in ("offsets", "text")}, "labels": list(labels)}


def _settings(config_path: Path, config: Config) -> Settings:
    try:
        return Settings(**config["huggingface"])
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(["huggingface", *map(str, found["loc"])])
        raise UserError(
            f"The config {config_path} can't be used: {place}: {found['msg']}",
            "weasel run configure fills in what is null; mend the rest in configs/huggingface.cfg.",
        ) from None


def _read(path: Path) -> list[Passage]:
    try:
        passages = read_valid_passages(path)
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", "Divide the passages again: weasel run split") from None
    if not any(passage.spans for passage in passages):
        raise no_entities(path, len(passages))
    return passages


def _labels(sets: Sequence[Sequence[Passage]]) -> list[str]:
    # Of the early-stopping set, too: it may have a rare type that is not in the training set.
    return sorted({span.label for passages in sets for passage in passages for span in passage.spans})


def _train(trainer: Any, config_path: Path) -> None:
    try:
        trainer.train()
    except Exception as error:  # whatever a value of the config, or the GPU's memory, may make PyTorch raise
        raise UserError(
            f"Training with {config_path} failed: {reason(error)}",
            "Mend that value in configs/huggingface.cfg or on the command line. Where memory ran out: a smaller "
            "per_device_train_batch_size, and gradient_accumulation_steps for the same step.",
        ) from error


def _arguments(settings: Settings, scratch: Path, max_epochs: int, seed: int, gpu: int) -> Any:
    import torch
    from transformers import TrainingArguments

    half = "bf16" if gpu >= 0 and torch.cuda.is_bf16_supported() else "fp16"
    ours = {
        "output_dir": str(scratch / "checkpoints"),
        "num_train_epochs": max_epochs,
        "seed": seed,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "f1",
        "greater_is_better": True,
        "use_cpu": gpu < 0,
        half: gpu >= 0,
        "dataloader_pin_memory": gpu >= 0,
        "report_to": [],
        "disable_tqdm": not sys.stderr.isatty(),
        "log_level": "error",
        "logging_strategy": "epoch",
    }
    try:
        arguments = TrainingArguments(**{**settings.training, **ours})
        # The Trainer would spread batches over all GPUs, and so make them larger than was asked for.
        if arguments.n_gpu > 1:
            arguments._n_gpu = 1
        return arguments
    except (TypeError, ValueError) as error:
        raise UserError(
            f"The section [huggingface.training] can't be used: {reason(error)}",
            "Its values are those of transformers.TrainingArguments; mend it in configs/huggingface.cfg.",
        ) from error


def _collator(tokenizer: Any) -> Any:
    from transformers import DataCollatorForTokenClassification

    return DataCollatorForTokenClassification(tokenizer, label_pad_token_id=NO_TAG)


def _scorer(tags: list[str]) -> Any:
    """F1 over exact entities in word pieces, as early stopping compares it."""
    from spacy_domain_ner.components.huggingface_ner import decode

    def score(predicted: Any) -> dict[str, float]:
        hits = found = annotated = 0
        for best, gold in zip(predicted.predictions.argmax(-1), predicted.label_ids, strict=True):
            real = gold != NO_TAG
            sides = [set(decode([tags[number] for number in side[real]])) for side in (best, gold)]
            hits += len(sides[0] & sides[1])
            found += len(sides[0])
            annotated += len(sides[1])
        return {
            "f1": 2 * hits / max(1, found + annotated),
            "precision": hits / max(1, found),
            "recall": hits / max(1, annotated),
        }

    return score


def _callbacks(patience_epochs: int) -> list[Any]:
    from transformers import EarlyStoppingCallback, TrainerCallback

    class Table(TrainerCallback):
        """A line an epoch, as spaCy prints it."""

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            print(f"{'E':>4} {'LOSS':>10} {'ENTS_F':>7} {'ENTS_P':>7} {'ENTS_R':>7}")

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
            shares = [100 * metrics[f"eval_{name}"] for name in ("f1", "precision", "recall")]
            print(
                f"{round(state.epoch):>4} {losses[-1] if losses else 0:>10.4f}"
                + "".join(f" {share:>7.2f}" for share in shares),
                flush=True,
            )

    return [EarlyStoppingCallback(early_stopping_patience=patience_epochs), Table()]


def _save(nlp: Language, target: Path, base_model: str) -> None:
    nlp.meta["sources"] = [{"name": Path(base_model).name if Path(base_model).is_dir() else base_model}]
    nlp.to_disk(target)
