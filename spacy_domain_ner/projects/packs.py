"""Puts a pack's parts into a new project: entity types, annotations, sentences to try the package with.

Needs nothing beyond Python itself and the PyYAML that cookiecutter brings. The blocks of the pack's YAML files are
handled as text, so that comments stay.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from spacy_domain_ner.corpus.passage import ORIGIN, STARTER
from spacy_domain_ner.files import replacing
from spacy_domain_ner.projects.answers import LABEL_PATTERN, split_entity_types
from spacy_domain_ner.projects.pack import TYPES, pack_folder, pack_labels, read_pack
from spacy_domain_ner.projects.record import RECORD

SKELETON = """  # NAME is still to be described. `domain-ner guide` says what is missing, and how to fill it.
  - name: NAME
    definition: ""  # what counts as a NAME, and how it differs from the other types; two or three sentences
    # 5 to 10 sentences from text like yours, as different as possible, each with one mention of a NAME:
    # - text: "a sentence with a mention in it"
    #   mention: "a mention"
    examples: []
    # 5 or more passages over which two people would disagree, and what you decided; `...` shows the span:
    # - case: 'Heading: "the words of the passage"'
    #   decision: "`the span` is a NAME, because ..."
    #   borders_on: null  # or the type that it could be taken for
    edge_cases: []
    # What people would mark by mistake:
    # - 'A description without a name: "..."'
    not_entities: []
"""
_SKELETON_LINE = r"^  # (\S+) is still to be described\."
# Labels that a YAML reader takes for a boolean or for nothing unless they are quoted.
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def add_pack(project: Path, template: Path, answers: Mapping[str, str]) -> None:
    """Write the parts of the chosen pack into a project, for the chosen entity types.

    What is there already and differs, because a project is made over another one, is kept beside as `.bak`.

    Args:
        project: The project's folder.
        template: The template's folder, with the packs in `assets/`.
        answers: The answers to the template's questions; `pack` and `entity_types` are read.
    """
    pack, labels = pack_folder(template, answers["pack"]), split_entity_types(answers["entity_types"])
    put(project / "entity_types.yml", entity_types(pack, labels))
    put(project / "assets/annotations.jsonl", "".join(annotations(pack, labels)))
    has_sentences = (pack / "sentences.yml").is_file()
    put(project / "tests/sentences.yml", sentences(pack if has_sentences else template / "assets/blank", labels))


def next_steps(project: Path, template: Path | None = None) -> str:
    """Say what to do with a new project, as commands to copy.

    Args:
        project: The project's folder.
        template: The template's folder: a project that lies in it is to be moved.
    """
    labelled = (project / "assets/annotations.jsonl").stat().st_size
    skeletons = re.findall(_SKELETON_LINE, (project / "entity_types.yml").read_text(encoding="utf8"), re.MULTILINE)
    prepare = ""
    if not labelled:
        prepare = (
            "  (describe your types in entity_types.yml: what counts as one, and where it ends)\n"
            "  python -m weasel run guide        # the guide for whoever labels, and what is missing in it\n"
            "  python -m weasel run interface    # the settings of Label Studio, doccano and Prodigy\n"
            "  domain-ner export label-studio PASSAGES.txt --output tasks.json   # a passage per line; or .csv\n"
            "  (label about a hundred passages, and export them from the tool)\n"
            "  domain-ner import EXPORT\n"
        )
    elif skeletons:
        # Passages without them would say that there are none.
        types = ", ".join(skeletons)
        prepare = f"  (describe {types} in entity_types.yml, annotate the mentions in assets/annotations.jsonl, then)\n"
    inside = template is not None and project.resolve().parent == template.resolve()
    clone = "\nIt lies inside the clone of spacy-domain-ner: move it to where your own work is.\n" if inside else ""
    return (
        f"Your project is in {project}/.{clone} Next:\n\n  cd {shlex.quote(str(project))}\n"
        f"  python -m pip install -r requirements.txt\n{prepare}  python -m weasel run all{_presets(project, template)}"
    )


def _presets(project: Path, template: Path | None) -> str:
    """What is said of the base models that know the field of a project's pack."""
    if template is None or not (project / RECORD).is_file():
        return ""
    pack = template / "assets" / json.loads((project / RECORD).read_text(encoding="utf8"))["answers"]["pack"]
    presets = read_pack(pack).presets if pack.is_dir() else []
    if not presets:
        return ""
    return (
        f"\n\nBase models that know the field: {', '.join(presets)} (on a GPU: base_model in project.yml; on a CPU: "
        "words in project.yml, for what they know of words). They are downloads."
    )


def entity_types(pack: Path, labels: list[str]) -> str:
    """The pack's blocks of the chosen types, and a skeleton for each type that the pack does not have."""
    text, own = (pack / TYPES).read_text(encoding="utf-8-sig"), pack_labels(pack)
    if labels == own:
        return text
    head, _, rest = text.partition("entity_types:\n")
    # A top-level key ends the list of types.
    body, tail = re.fullmatch(r"(.*?)((?:^[A-Za-z#].*)?)", rest, re.DOTALL | re.MULTILINE).groups()  # type: ignore[union-attr]
    blocks = re.split(r"^(?=  - name: )", body, flags=re.MULTILINE)[1:]
    known = {block.split("\n", 1)[0].removeprefix("  - name: ").strip("\"' "): block for block in blocks}
    if [*known] != own:
        # A user's own file may be laid out in another way.
        head, tail, known = _laid_out(text)
    chosen = [known.get(label) or _skeleton(label) for label in labels]
    # A type that was not chosen can't be bordered on.
    borders = re.compile(r"^( +borders_on: )(\S+)$", re.MULTILINE)
    chosen = [borders.sub(lambda m: m[0] if m[2] in (*labels, "null") else m[1] + "null", block) for block in chosen]
    return head + "entity_types:\n" + "".join(chosen) + tail


def annotations(pack: Path, labels: list[str]) -> Iterator[str]:
    """The lines of the pack's starter corpus, with the spans of the chosen types only; none if it has no such span.

    Each says that it came with a pack, so that the user's own passages can be told from it.
    """
    starter = pack / "starter.jsonl"
    records = (
        [json.loads(line) for line in starter.open(encoding="utf-8-sig") if line.strip()] if starter.exists() else []
    )
    for record in records:
        record["spans"] = [span for span in record.get("spans") or [] if span["label"] in labels]
        record["meta"] = {ORIGIN: STARTER, **(record.get("meta") or {})}
    if any(record["spans"] for record in records):
        yield from (json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def sentences(pack: Path, labels: list[str]) -> str:
    """The pack's sentences, without those that have a type which was not chosen; the example has the chosen types."""
    text = (pack / "sentences.yml").read_text(encoding="utf-8-sig")
    if labels == pack_labels(pack):
        return text
    head, *blocks = re.split(r"^(?=- text: )", text, flags=re.MULTILINE)
    words = [label.replace("_", " ").lower() for label in labels[:4]]
    named = ", ".join(f"a name of a {word}" for word in words)
    head = head.replace("a name in it", f"{named} in it")
    lines = (f"#     a name of a {word}: {label}\n" for word, label in zip(words, labels, strict=False))
    head = head.replace("#     a name: PRODUCT\n", "".join(lines))
    return head + "".join(block for block in blocks if _labels_of(block) <= set(labels))


def put(path: Path, text: str) -> None:
    """Write a file of the project; one that is there already with other contents is kept beside as `.bak`."""
    if path.is_file() and path.read_bytes() != text.encode():
        backups = (path.with_name(f"{path.name}.bak{number or ''}") for number in range(1000))
        path.replace(next(backup for backup in backups if not backup.exists()))
    with replacing(path) as stream:
        stream.write(text)


def _laid_out(text: str) -> tuple[str, str, dict[str, str]]:
    """Lay a file out as the template's packs are: what is before the types, what is behind, and the types by label."""
    import yaml

    content = yaml.safe_load(text)
    types = content.pop("entity_types") or []
    dumped = [yaml.safe_dump([one], allow_unicode=True, sort_keys=False, width=120) for one in types]
    blocks = {
        str(one["name"]): re.sub(r"^(?=.)", "  ", block, flags=re.M) for one, block in zip(types, dumped, strict=True)
    }
    return "", yaml.safe_dump(content, allow_unicode=True, sort_keys=False) if content else "", blocks


def _skeleton(label: str) -> str:
    named = SKELETON.replace("- name: NAME", f'- name: "{label}"') if label.lower() in _YAML_WORDS else SKELETON
    return named.replace("NAME", label)


def _labels_of(block: str) -> set[str]:
    """The types in a sentence's block: under `entities:`, one line each, `form: TYPE`."""
    found = re.search(r"^  entities:\n((?:    .*\n?)*)", block, re.MULTILINE)
    return set(re.findall(rf": ({LABEL_PATTERN.pattern})\s*$", found[1], re.MULTILINE)) if found else set()
