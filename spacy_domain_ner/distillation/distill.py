"""A small model that learns from people's annotation, and from what a larger model thinks of text without any."""

import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from thinc.api import Config, require_cpu

from spacy_domain_ner.annotation.labelled import read_labelled
from spacy_domain_ner.base_models.configs import read_config
from spacy_domain_ner.bootstrapping.pool import read_pool
from spacy_domain_ner.confidence.prediction import OWN_FACTORY, TAGS, recognizer_with
from spacy_domain_ner.corpus.docbin import read_docs
from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.distillation.labelling import label_passages
from spacy_domain_ner.distillation.teacher import find_teacher, train_once
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.scores import predict_spans, score
from spacy_domain_ner.files import at_work, replacing_path
from spacy_domain_ner.models import load_model, model_identity
from spacy_domain_ner.reading.texts import find_texts
from spacy_domain_ner.training.frameworks import find_framework
from spacy_domain_ner.training.gpu import choose_gpu
from spacy_domain_ner.training.recipe import JSONL, SPACY, Recipe, read_set

# So many passages are labelled for each one that people have labelled.
TIMES = 4
MAX_WORDS = 300
# The folder of what is kept of a run, beside the model.
WORK = "distilled"
# The key in a model's meta.json that says that it has learned from another one.
DISTILLED = "distilled"

Progress = Callable[[str], AbstractContextManager[Callable[[float], None]]]


@dataclass
class Distilled:
    """A model that has learned from another one.

    Attributes:
        reviewed: The number of passages that people have labelled.
        read: How many unlabelled passages there were.
        left_out: How many of them the teacher has not labelled, by the reason.
        refusals: The lines and files that could not be read.
        other_types: The teacher's types that the small model does not have: their entities count as none.
        teacher_f1: The teacher's F1 on the early-stopping set.
        alone_f1: That of the small model without the teacher.
        silver: The number of passages that the teacher has labelled.
        f1: That of the model.
        model: Its folder: the place of the model that was there, or where it finds less than alone, one beside it.
    """

    reviewed: int
    read: int
    left_out: Counter[str]
    refusals: list[Refusal]
    other_types: tuple[str, ...] = ()
    teacher_f1: float = 0.0
    alone_f1: float = 0.0
    silver: int = 0
    f1: float = 0.0
    model: Path = Path()

    @property
    def is_better(self) -> bool:
        """Whether the model finds at least what it finds without the teacher, and so takes the place of that."""
        return self.f1 >= self.alone_f1


def distill(
    passages: Iterable[str | Path],
    output_dir: str | Path = Path("training"),
    *,
    teacher: str | Path = "minilm",
    recipe: Recipe = Recipe(),
    configs: str | Path = Path("configs"),
    held_out: Iterable[str | Path] = (),
    size: int | None = None,
    max_words: int = MAX_WORDS,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    say: Callable[[str], None] = print,
    progress: Progress = lambda title: nullcontext(lambda share: None),
) -> Distilled:
    """Train a model on people's annotation, and on what a better model, the teacher, thinks of unlabelled passages.

    From these passages the model learns how probable the teacher finds each tag of each token (G. Hinton et al.,
    Distilling the Knowledge in a Neural Network, 2015). They are for training only: nothing is measured by them.

    What was done before is not repeated: an interrupted run continues where it was.

    Args:
        passages: Files of unlabelled text (JSON lines or lists, text with one passage per line, web pages, tables),
            folders and zip archives of them, or "-" for standard input.
        output_dir: The folder for `model-best`; the teacher is trained in `teacher` there, and `distilled` keeps what
            it has labelled.
        teacher: A trained model, its folder or the name of its package; or a base model as `configure` takes it, with
            `@huggingface` after it for that framework, which is trained on the same annotation first.
        recipe: What the small model is trained on, and how.
        configs: The folder of the configs.
        held_out: The files of further sets that the model is measured by. Their passages are not labelled.
        size: How many passages to label at most; of more, so many are drawn at random. None is 4 for each passage of
            the training set.
        max_words: The most words of a passage.
        file_format: "jsonl", "json", "text", "csv" (any table of text), "html" or "parquet"; None looks at the files.
        encoding: The encoding of the files that have no byte order mark.
        text_key: The key of the text in JSON records, and its column in tables.
        say: Gets a line before each step that takes long.
        progress: Makes a bar for a step, with its title: a context manager that gives a function, which is called with
            the share that is done.

    Returns:
        The model, and how it compares.

    Raises:
        UserError: The teacher is not better than the small model alone on the early-stopping set, lacks a type, or
            can't be used; a file can't be read; or no passage is left.
    """
    for name, number in (("size", size), ("max_words", max_words)):
        if number is not None and number < 1:
            raise UserError(f"`{name}` is {number}", "It must be 1 or more.")
    output, teacher = Path(output_dir), str(teacher)
    if Path(teacher).resolve() == (output / "model-best").resolve():
        raise UserError(
            f"The teacher is {teacher}, and the student would take its place",
            "Copy the teacher's folder to another place, and name that.",
        )
    _check_student(recipe)
    gold, dev = (read_set(path) for path in recipe.sets(JSONL))
    types = sorted({span.label for passage in gold for span in passage.spans})
    reviewed = [passage for passage in gold if not passage.is_silver]
    tokenizer = load_tokenizing_pipeline(recipe.config)
    known = read_labelled([], [recipe.sets(JSONL)[1], *held_out])
    with find_texts([*passages], file_format=file_format, encoding=encoding, text_key=text_key) as texts:
        most = size or TIMES * len(reviewed)
        pool = read_pool(texts, reviewed, known, tokenizer.lang, most, max_words, text_key)
    result = Distilled(len(reviewed), pool.read, Counter(pool.left_out), pool.refusals)
    with at_work(output / WORK):
        found = find_teacher(teacher, recipe, output / "teacher", Path(configs), say)
        # Before the teacher is loaded, perhaps on a GPU, where the student is neither trained nor asked.
        result.alone_f1 = _f1(load_model(_alone(recipe, output, say)), dev, types)
        choose_gpu(str(recipe.gpu_id), transformer=True)
        nlp = load_model(found)
        result.other_types = _other_types(nlp, teacher, types)
        result.teacher_f1 = _f1(nlp, dev, types)
        _check_better(result, teacher, recipe, len(dev))
        say(f"F1 on {recipe.dev}: the teacher {result.teacher_f1:.3f}, {recipe.config} alone {result.alone_f1:.3f}")
        say(f"The teacher labels {len(pool.passages):,} passages")
        identity = model_identity(nlp)
        with progress("Labelling") as advance:
            labelled = label_passages(
                nlp, tokenizer, pool.passages, output / WORK / f"silver-{identity['digest']}", advance
            )
        if not labelled.docs:
            raise _other_tokens(teacher, recipe.config)
        if labelled.other_tokens:
            result.left_out["the teacher divides it into other tokens than the student"] = labelled.other_tokens
        result.silver = len(labelled.docs)
        called = "{name} {version}".format(**identity) if found == teacher else teacher
        about = {"teacher": called, "digest": identity["digest"], "passages": result.silver}
        del nlp
        require_cpu()
        result.model = _learn(recipe, labelled.docs, output / WORK, about, say)
        result.f1 = _f1(load_model(result.model), dev, types)
        if result.is_better:
            result.model = _put(result.model, output / "model-best")
    return result


def _learn(
    recipe: Recipe, silver: Iterable[Doc], folder: Path, about: dict[str, Any], say: Callable[[str], None]
) -> Path:
    """Train the student on its own training set and on what the teacher has labelled. RETURNS: The model's folder."""
    gold, dev = recipe.sets(SPACY)
    own = replace(recipe, train=folder / f"train{SPACY}", dev=dev)
    write_train(gold, silver, own.train)
    model = train_once(own, folder, "The student", say)
    meta = srsly.read_json(model / "meta.json")
    if meta.get(DISTILLED) != about:
        with replacing_path(model / "meta.json") as beside:
            srsly.write_json(beside, {**meta, DISTILLED: about})
    return model


def _put(model: Path, place: Path) -> Path:
    """Copy a model into the place of another one."""
    with at_work(place), replacing_path(place, folder=True) as beside:
        shutil.copytree(model, beside)
    return place


def _check_student(recipe: Recipe) -> None:
    """Refuse a config whose recognizer can't learn from probabilities."""
    config = recipe.read_config()
    factories = {part.get("factory") for part in config.get("components", {}).values()}
    if find_framework(config).reads != SPACY or OWN_FACTORY not in factories:
        raise UserError(
            f"The config {recipe.config} trains no recognizer that learns from another model",
            "Choose the base model cnn, or one that the framework spacy trains (`base_model` in project.yml), and run "
            f"the configuration again. A config of your own needs a component with factory = {OWN_FACTORY!r}.",
        )


def _other_types(nlp: Language, teacher: str, types: Sequence[str]) -> tuple[str, ...]:
    """Compare the teacher's types with the student's.

    Returns:
        Those that only the teacher has.

    Raises:
        UserError: It lacks some, or has no recognizer that can tell.
    """
    labels = nlp.get_pipe(recognizer_with(nlp, TAGS)).labels
    if lacking := [label for label in types if label not in labels]:
        raise UserError(
            f"The teacher {teacher} does not know the entity type(s) {', '.join(lacking)}: it would teach that they "
            "are never there",
            "Train the teacher on the same annotation: name a base model as the teacher, for instance minilm.",
        )
    return tuple(label for label in labels if label not in types)


def _alone(recipe: Recipe, output: Path, say: Callable[[str], None]) -> Path:
    """The student as it is without a teacher: the present model, if that is one; else it is trained."""
    present = output / "model-best"
    if _is_alone(present, recipe.read_config()):
        return present
    return train_once(recipe, output / WORK / "alone", "The student without a teacher", say)


def _is_alone(model: Path, config: Config) -> bool:
    """Whether a model was trained by a config, and without a teacher."""
    try:
        meta: dict[str, Any] = srsly.read_json(model / "meta.json")
        return DISTILLED not in meta and _parts(read_config(model / "config.cfg")) == _parts(config)
    except (OSError, ValueError, UserError):
        return False


def _parts(config: Config) -> object:
    return config.get("nlp", {}).get("pipeline"), config.get("components")


def _check_better(result: Distilled, teacher: str, recipe: Recipe, passages: int) -> None:
    if result.teacher_f1 <= result.alone_f1:
        raise UserError(
            f"The teacher {teacher} is not better than {recipe.config} alone: F1 {result.teacher_f1:.3f} against "
            f"{result.alone_f1:.3f} on the {passages:,} passages of {recipe.dev}",
            "There is nothing to learn from it. Choose a larger model as the teacher, or label more passages first.",
        )


def _other_tokens(teacher: str, config: Path) -> UserError:
    return UserError(
        f"The teacher {teacher} divides each passage into other tokens than {config} does",
        "Its probabilities are those of its own tokens. Train the teacher here: name a base model, for instance "
        "minilm; or set the same tokenizer rules in both projects.",
    )


def _f1(nlp: Language, passages: Sequence[Passage], types: Collection[str]) -> float:
    """F1 on passages, over some types."""
    predicted = [[span for span in spans if span.label in types] for spans in predict_spans(nlp, passages)]
    return score([*passages], predicted, types).micro.f1 or 0.0


def write_train(gold: Path, silver: Iterable[Doc], path: Path) -> None:
    """Write a training set of the docs of another one, and of those that a teacher has labelled."""
    docs = DocBin(store_user_data=True)
    for doc in read_docs(gold.read_bytes(), str(gold), "Convert the sets again: weasel run convert"):
        docs.add(doc)
    for doc in silver:
        docs.add(doc)
    with replacing_path(path) as beside:
        beside.write_bytes(docs.to_bytes())
