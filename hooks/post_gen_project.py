"""Puts the pack's parts into the new project: entity types, annotations, sentences to try the package with.

Needs nothing beyond Python itself. Works on the blocks of the pack's YAML files as text, so that comments stay.
"""

import json
import os
import re
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
PROJECT = Path.cwd()
TYPES = [name.strip() for name in ANSWERS["entity_types"].split(",")]
SKELETON = """  # NAME is still to be described. `domain-ner guide` says what is missing, and how to fill it.
  - name: NAME
    definition: ""  # what counts as a NAME, what sets it off from the other types; two or three sentences
    # 5 to 10 sentences from text like yours, as different as they come, each with one mention of a NAME:
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


def find_pack():
    """The pack's folder in the template.

    cookiecutter gives the template's folder as it was typed: relative to a folder that a hook is not told. While
    a hook runs, cookiecutter itself is in the template's folder, which Linux tells; elsewhere the folders that it
    can have been started from are tried.
    """
    typed, output = Path(ANSWERS["_repo_dir"]), Path(ANSWERS["_output_dir"])
    started_from = [Path(os.environ.get("PWD", output)), output, *output.parents]
    candidates = [Path(f"/proc/{os.getppid()}/cwd"), *(folder / typed for folder in started_from)]
    for template in candidates:
        pack = template / "assets" / ANSWERS["pack"]
        if (template / "cookiecutter.json").is_file() and (pack / "entity_types.yml").is_file():
            return pack.resolve()
    print(
        f"\nThe template at {typed} has no assets/{ANSWERS['pack']}. Get the whole repository, and give cookiecutter "
        "its folder's full path.\n",
        file=sys.stderr,
    )
    sys.exit(1)


def write(name, text):
    path = PROJECT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text(encoding="utf8") != text:
        # cookiecutter was told to overwrite; what may be somebody's work is kept beside all the same.
        path.replace(path.with_name(path.name + ".bak"))
    with path.open("w", encoding="utf8", newline="\n") as stream:
        stream.write(text)


def entity_types():
    """The pack's blocks of the types that were chosen; a skeleton for those that the pack does not have."""
    text = (PACK / "entity_types.yml").read_text(encoding="utf8")
    head, _, rest = text.partition("entity_types:\n")
    # A top-level key ends the list of types.
    body, tail = re.fullmatch(r"(.*?)((?:^[A-Za-z#].*)?)", rest, re.DOTALL | re.MULTILINE).groups()
    blocks = re.split(r"^(?=  - name: )", body, flags=re.MULTILINE)[1:]
    known = {re.match(r"  - name: (\S+)", block)[1]: block for block in blocks}
    chosen = [known.get(name) or SKELETON.replace("NAME", name) for name in TYPES]
    # A type that was not chosen can't be bordered on.
    borders = re.compile(r"^( +borders_on: )(\S+)$", re.MULTILINE)
    chosen = [borders.sub(lambda m: m[0] if m[2] in (*TYPES, "null") else m[1] + "null", block) for block in chosen]
    return head + "entity_types:\n" + "".join(chosen) + tail


def annotations():
    """The pack's starter corpus, with the chosen types' spans only."""
    starter = PACK / "starter.jsonl"
    for line in starter.read_text(encoding="utf8").splitlines() if starter.exists() else []:
        record = json.loads(line)
        record["spans"] = [span for span in record["spans"] if span["label"] in TYPES]
        yield json.dumps(record, ensure_ascii=False) + "\n"


def sentences():
    """The pack's sentences, without those of which a type was not chosen."""
    text = (PACK / "sentences.yml").read_text(encoding="utf8")
    head, *blocks = re.split(r"^(?=- text: )", text, flags=re.MULTILINE)
    kept = [block for block in blocks if set(re.findall(r": ([A-Z]+)$", block, re.MULTILINE)) <= set(TYPES)]
    return head + "".join(kept)


PACK = find_pack()
write("entity_types.yml", entity_types())
write("assets/annotations.jsonl", "".join(annotations()))
write("tests/sentences.yml", sentences())
first = "" if ANSWERS["pack"] != "blank" else "  (describe your types in entity_types.yml, annotate, then)\n"
print(
    f"\nYour project is in {PROJECT.name}/. Next:\n\n"
    f"  cd {PROJECT.name}\n  python -m pip install -r requirements.txt\n{first}  python -m weasel run all\n"
)
