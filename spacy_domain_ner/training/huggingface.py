"""Training a token classifier with transformers, from the annotation's character offsets."""

import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from thinc.api import Config

from spacy_domain_ner.base_models.configs import fill_in
from spacy_domain_ner.base_models.fetch import INSTALL
from spacy_domain_ner.base_models.presets import Preset
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.corpus.times_read import times_read
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.text import without_invisible
from spacy_domain_ner.training.recipe import JSONL, Recipe, read_set

# The loss ignores these word pieces.
NO_TAG = -100


class Section(BaseModel):
    """The section [huggingface] of a config.

    Attributes:
        name: The base model: a hub name or a folder.
        max_length: The most word pieces that are read at once.
        overlap: The word pieces that two windows of a long passage share.
        tokenizer: Settings of the tokenizer.
        training: Values of `transformers.TrainingArguments`.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    # Room for the special word pieces and a few more.
    max_length: int = Field(default=256, ge=8)
    overlap: int = Field(default=64, ge=0)
    tokenizer: dict[str, Any] = {}
    training: dict[str, Any] = {}


class HuggingFace:
    """transformers' own trainer, for transformers alone. See `frameworks.Framework`.

    It reads the passages and not the tokens: a span need not begin and end where spaCy's tokens do.
    """

    name = "huggingface"
    config_file = "huggingface.cfg"
    reads = JSONL

    def applies(self, config: Config) -> bool:
        """Whether the config has a section `[huggingface]`."""
        return "huggingface" in config

    def trains_transformer(self, config: Config) -> bool:
        """It trains nothing else."""
        return True

    def fill(self, config: Config, preset: Preset) -> None:
        """Fill in what `huggingface.cfg` leaves open."""
        values = {
            "huggingface.name": preset.hub,
            "huggingface.tokenizer": preset.tokenizer,
            "huggingface.training.learning_rate": preset.learn_rate,
        }
        fill_in(config, values)

    def train(self, recipe: Recipe, folder: Path, gpu: int) -> None:
        """Train a token classifier. The folder gets `model-best`, a spaCy pipeline with it as its one component."""
        section = _read_section(recipe)
        if gpu > 0:
            raise UserError(
                f"`gpu_id` is {gpu}, and transformers' trainer takes the first GPU that it sees",
                f"Show it only that GPU: set the environment variable CUDA_VISIBLE_DEVICES to {gpu}, `gpu_id` to 0.",
            )
        _check_packages()
        passages = [read_set(path) for path in recipe.sets(JSONL)]
        if unheard := sum(map(_unheard, passages[0])):
            print(
                f"{unheard} rejected suggestion(s) in text of which nothing else is known: this framework does not "
                "learn from them, as the recognizer of the other configs does"
            )
        times = times_read(passages[0])
        passages[0] = [passage for passage in passages[0] for _ in range(times[passage.origin])]
        tokenizer, model = _load_base_model(section, _tags(passages), recipe.seed)
        tagged_sets = [tagged_windows(tokenizer, model.config.label2id, side, section) for side in passages]
        trainer = _make_trainer(recipe, section, tokenizer, model, tagged_sets, folder, gpu)
        _run(trainer, recipe.config)
        # load_best_model_at_end: by now the trainer's model is the best one.
        trainer.save_model(str(folder / "best"))
        tokenizer.save_pretrained(folder / "best")
        _save_pipeline(recipe.config, section, folder)

    def hub_model(self, model: Path) -> Path | None:
        """The token classifier's folder in a trained model."""
        configs = (path for path in model.glob("*/config.json") if (path.parent / "model.safetensors").is_file())
        return next((path.parent for path in configs), None)


def tagged_windows(
    tokenizer: Any, numbers: Mapping[str, int], passages: Sequence[Passage], section: Section
) -> list[dict[str, Any]]:
    """Cut passages into windows of word pieces, and tag these.

    Args:
        tokenizer: The base model's tokenizer.
        numbers: The number of each tag.
        passages: The passages.
        section: The config's section.

    Returns:
        The windows, as `tagged` gives them, without those that have no tag.
    """
    from spacy_domain_ner.components.huggingface_ner import encode

    passages = [_visible(passage) for passage in passages]
    windows = encode(tokenizer, [passage.text for passage in passages], section.max_length, section.overlap)
    sides = ((window, passages[window["text"]]) for window in windows)
    found = [tagged(window, passage.spans, numbers, passage.unknown) for window, passage in sides]
    # A batch in which no word piece has a tag has a loss that is not a number, which would spoil the model.
    return [window for window in found if any(label != NO_TAG for label in window["labels"])]


def tagged(
    window: Mapping[str, Any], spans: Sequence[Span], numbers: Mapping[str, int], unknown: Sequence[Span] = ()
) -> dict[str, Any]:
    """Add the tag of each word piece to a window's inputs, by the spans' offsets.

    Args:
        window: The inputs of a window of a passage, with the word pieces' offsets in the passage.
        spans: The passage's spans.
        numbers: The number of each tag.
        unknown: The passage's unknown parts.

    Returns:
        The inputs with `labels`. Word pieces that a span touches get the span's tag, the first of them `B-`. Special
        word pieces, and those of unknown parts, get the number that the loss ignores.
    """
    offsets: numpy.ndarray = window["offsets"]
    labels = numpy.where(offsets[:, 1] > offsets[:, 0], numbers["O"], NO_TAG)
    for span in spans:
        touched = numpy.flatnonzero((offsets[:, 0] < span.end) & (offsets[:, 1] > span.start) & (labels != NO_TAG))
        labels[touched] = numbers[f"I-{span.label}"]
        # A window of a long passage may begin in the middle of a span.
        if len(touched) and (offsets[touched[0], 0] <= span.start or touched[0] > numpy.argmax(labels != NO_TAG)):
            labels[touched[0]] = numbers[f"B-{span.label}"]
    for part in unknown:
        inside = (offsets[:, 0] < part.end) & (offsets[:, 1] > part.start)
        labels[inside & (labels == numbers["O"])] = NO_TAG
    return {**{key: value for key, value in window.items() if key not in ("offsets", "text")}, "labels": list(labels)}


def _read_section(recipe: Recipe) -> Section:
    try:
        return Section(**recipe.read_config()["huggingface"])
    except ValidationError as error:
        found = error.errors()[0]
        place = ".".join(["huggingface", *map(str, found["loc"])])
        raise UserError(
            f"The config {recipe.config} can't be used: {place}: {found['msg']}",
            "`weasel run configure` fills in what is null; fix the rest in configs/huggingface.cfg.",
        ) from None


def _check_packages() -> None:
    try:
        import transformers.trainer  # noqa: F401

        from spacy_domain_ner.components import huggingface_ner  # noqa: F401
    except ImportError as error:
        raise UserError(f"The framework huggingface needs more packages: {reason(error)}", INSTALL) from error


def _tags(sets: Sequence[Sequence[Passage]]) -> list[str]:
    # Labels of the early-stopping set count, too: it may have a rare type that the training set lacks.
    labels = sorted({span.label for passages in sets for passage in passages for span in passage.spans})
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in ("B", "I"))]


def _load_base_model(section: Section, tags: list[str], seed: int) -> tuple[Any, Any]:
    """The base model's tokenizer, and the model with a new head for the tags."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, set_seed
    from transformers.utils import logging

    set_seed(seed)
    # Silence the warning about the newly initialised head.
    logging.set_verbosity_error()
    try:
        tokenizer = AutoTokenizer.from_pretrained(section.name, trust_remote_code=False, **section.tokenizer)
        model = AutoModelForTokenClassification.from_pretrained(
            section.name,
            trust_remote_code=False,
            id2label=dict(enumerate(tags)),
            label2id={tag: number for number, tag in enumerate(tags)},
            # A model that was fine-tuned for something else has a head of another size.
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # the hub's client and the file system each have errors of their own
        raise UserError(
            f"The base model {section.name} can't be used: {reason(error)}", "`weasel run configure` looks it up again."
        ) from error
    if not tokenizer.is_fast:
        raise UserError(
            f"{type(tokenizer).__name__} is not a fast tokenizer: its word pieces can't be traced to the text",
            "Leave use_fast at true in [huggingface.tokenizer] of configs/huggingface.cfg.",
        )
    return tokenizer, model


def _unheard(passage: Passage) -> int:
    """How many spans are known to be wrong where the tags say nothing: elsewhere, the tags say it."""
    return sum(
        any(span.start < part.end and part.start < span.end for part in passage.unknown) for span in passage.incorrect
    )


def _visible(passage: Passage) -> Passage:
    """A passage without the characters that nobody sees, as the component reads it."""
    text = without_invisible(passage.text)
    if text == passage.text:
        return passage
    before = [0, *accumulate(len(without_invisible(character)) for character in passage.text)]

    def moved(spans: Sequence[Span]) -> list[Span]:
        return [Span(before[span.start], before[span.end], span.label) for span in spans]

    return Passage(text, moved(passage.spans), unknown=moved(passage.unknown))


def _make_trainer(
    recipe: Recipe,
    section: Section,
    tokenizer: Any,
    model: Any,
    tagged_sets: Sequence[list[dict[str, Any]]],
    folder: Path,
    gpu: int,
) -> Any:
    from transformers import DataCollatorForTokenClassification, PrinterCallback, Trainer

    max_epochs, patience_epochs = _epochs(recipe, section)
    train, dev = tagged_sets
    trainer = Trainer(
        model=model,
        args=_arguments(section, folder, max_epochs, recipe.seed, gpu),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=DataCollatorForTokenClassification(tokenizer, label_pad_token_id=NO_TAG),
        compute_metrics=_scorer([model.config.id2label[number] for number in range(len(model.config.id2label))]),
        callbacks=_callbacks(patience_epochs),
    )
    # Our table says the same in fewer lines.
    trainer.remove_callback(PrinterCallback)
    return trainer


def _epochs(recipe: Recipe, section: Section) -> tuple[int, int]:
    """The most epochs, and the patience."""
    own = section.training.get("num_train_epochs")
    most = min(recipe.max_epochs, own) if isinstance(own, int) and own > 0 else recipe.max_epochs
    falls = not str(section.training.get("lr_scheduler_type", "linear")).startswith("constant")
    # While the rate falls, the best model is often still to come.
    return most, most if falls else recipe.patience_epochs


def _run(trainer: Any, config_path: Path) -> None:
    try:
        trainer.train()
    except Exception as error:  # whatever a value of the config, or the GPU's memory, may make PyTorch raise
        raise UserError(
            f"Training with {config_path} failed: {reason(error)}",
            "Fix that value in configs/huggingface.cfg or on the command line. If memory ran out, set a smaller "
            "per_device_train_batch_size, and gradient_accumulation_steps for the same step.",
        ) from error


def _save_pipeline(config_path: Path, section: Section, folder: Path) -> None:
    from spacy_domain_ner.components.huggingface_ner import FACTORY

    nlp = load_tokenizing_pipeline(config_path)
    component: Any = nlp.add_pipe(FACTORY, config={"max_length": section.max_length, "overlap": section.overlap})
    component.load(folder / "best")
    is_folder = Path(section.name).is_dir()
    nlp.meta["sources"] = [{"name": Path(section.name).name if is_folder else section.name}]
    nlp.to_disk(folder / "model-best")


def _arguments(section: Section, folder: Path, max_epochs: int, seed: int, gpu: int) -> Any:
    import torch
    from transformers import TrainingArguments

    half = "bf16" if gpu >= 0 and torch.cuda.is_bf16_supported() else "fp16"
    ours = {
        "output_dir": str(folder / "checkpoints"),
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
        arguments = TrainingArguments(**{**section.training, **ours})
        # The Trainer would spread batches over all GPUs, which would make them larger than was asked for.
        if arguments.n_gpu > 1:
            arguments._n_gpu = 1
        return arguments
    except (TypeError, ValueError) as error:
        raise UserError(
            f"The section [huggingface.training] can't be used: {reason(error)}",
            "Its values are those of transformers.TrainingArguments; fix it in configs/huggingface.cfg.",
        ) from error


def _scorer(tags: list[str]) -> Any:
    """Make the function that scores exact entities in word pieces, for early stopping."""
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
        """One line per epoch, as spaCy prints it."""

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
