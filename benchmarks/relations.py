"""Relations: a planted set with an LLM that claims too much, and the baseline on a corpus with relations.

    python benchmarks/relations.py planted
    python benchmarks/relations.py baseline ../shared/data/exports/brat/somesci

The planted set's LLM is a script: it knows the truth and errs at rates that are given. So it shows what the guards and
the verifying pass do with errors of a known size; how often a real model errs, it can't show.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from spacy_domain_ner.corpus import Passage, Span, read_passages, write_passages
from spacy_domain_ner.corpus.passage import Relation
from spacy_domain_ner.evaluation.bootstrap import with_interval
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.baseline import learn_baseline
from spacy_domain_ner.relations.finding import find_relations
from spacy_domain_ner.relations.scores import FoundIn, score_relations

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from helpers.llm_server import LLMServer, says

TYPES = RelationTypes.model_validate(
    {
        "relation_types": [
            {"name": "CALLS", "head": ["SERVICE"], "tail": ["SERVICE"], "definition": "The head sends requests."},
            {"name": "READS", "head": ["SERVICE"], "tail": ["STORE"], "definition": "The head reads its data there."},
        ]
    }
)
STATED = {
    "CALLS": ("{0} calls {1} for every order.", "Since Monday {1} is called by {0}.", "{0} waits for answers of {1}."),
    "READS": ("{0} reads its sessions from {1}.", "The rows of {0} come out of {1}.", "{1} holds what {0} reads."),
}
TOGETHER = (
    "{0} and {1} were slow on Monday.", "Unlike {0}, {1} was not touched.", "{0} no longer needs {1}.",
    "The owners of {0} and {1} met.", "After {0} was deployed, {1} was restarted, too.",
)  # fmt: skip
NAMES = {
    "SERVICE": [f"{a}-{b}" for a in ("cart", "order", "mail", "search", "price") for b in ("api", "sync", "web")],
    "STORE": ["Alder", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Maple"],
}  # fmt: skip


def planted(count: int, seed: int) -> list[Passage]:
    """Make passages with two to three sentences of two entities each: related in half of them, else only together."""
    draw, passages = random.Random(seed), []
    for number in range(count):
        text, spans, relations = "", [], []
        for _ in range(draw.choice((2, 3))):
            name = draw.choice(("CALLS", "READS"))
            types = ("SERVICE", "SERVICE" if name == "CALLS" else "STORE")
            head, tail = draw.choice(NAMES[types[0]]), draw.choice(NAMES[types[1]])
            if head == tail:
                continue
            is_stated = draw.random() < 0.5
            sentence = draw.choice(STATED[name] if is_stated else TOGETHER).format(head, tail)
            ends = []
            for form, label in zip((head, tail), types, strict=True):
                start = len(text) + sentence.index(form)
                ends.append(Span(start, start + len(form), label))
            text += sentence[0].upper() + sentence[1:] + " " if not sentence.startswith(head) else sentence + " "
            spans += ends
            if is_stated:
                relations.append(Relation(ends[0], name, ends[1]))
        if text:
            passages.append(Passage(text.strip(), sorted(spans), {"source": str(number)}, relations=relations))
    return passages


class NoisyModel:
    """A script that knows the truth, claims too much, and believes too much of it when it is asked again.

    Attributes:
        false_claims: How often it claims a relation of a pair that only occurs together.
        missed: How often it misses a relation.
        made_up: How often the evidence of a claim is not in the passage.
        believed: How often it confirms a false claim when it is asked again.
        doubted: How often it does not confirm a right one.
    """

    def __init__(self, passages: list[Passage], false_claims: float, believed: float, seed: int) -> None:
        self.truth = {passage.text: passage for passage in passages}
        self.false_claims, self.missed, self.made_up = false_claims, 0.1, 0.05
        self.believed, self.doubted, self.seed = believed, 0.05, seed

    def __call__(self, asked):
        question = json.loads(asked.user)
        passage = self.truth[question["passage"]]
        draw = random.Random(f"{self.seed} {asked.user}")
        if "claims" in question:
            true = {(passage.surface(one.head), one.type, passage.surface(one.tail)) for one in passage.relations}
            verdicts = [
                {"number": claim["number"],
                 "stated": draw.random() >= self.doubted if (claim["head"], claim["type"], claim["tail"]) in true
                 else draw.random() < self.believed}
                for claim in question["claims"]
            ]  # fmt: skip
            return says({"verdicts": verdicts})
        spans = sorted(set(passage.spans))
        related = {frozenset((one.head, one.tail)) for one in passage.relations}
        claims = [(one.head, one.type, one.tail) for one in passage.relations if draw.random() >= self.missed]
        for number, first in enumerate(spans):
            for second in spans[number + 1 :]:
                fitting = [(head, one.name, tail) for head, tail in ((first, second), (second, first))
                           for one in TYPES.between(head.label, tail.label)]  # fmt: skip
                if fitting and {first, second} not in related and draw.random() < self.false_claims:
                    claims.append(draw.choice(fitting))
        relations = []
        for head, name, tail in claims:
            start, end = min(head.start, tail.start), max(head.end, tail.end)
            evidence = "as everybody knows" if draw.random() < self.made_up else passage.text[start:end]
            relations.append({"head": spans.index(head) + 1, "type": name, "tail": spans.index(tail) + 1,
                              "evidence": evidence})  # fmt: skip
        return says({"relations": relations})


def run_planted(count: int, seed: int) -> None:
    passages, training = planted(count, seed), planted(count, seed + 1)
    with tempfile.TemporaryDirectory() as folder:
        gold, train = Path(folder) / "gold.jsonl", Path(folder) / "train.jsonl"
        write_passages(gold, passages)
        write_passages(train, training)
        relations = sum(len(passage.relations or ()) for passage in passages)
        print(f"{len(passages)} passages, {relations} relations, seed {seed}\n")
        print("| claims | confirms | pass | precision | recall | F1 | false on pairs that only occur together |")
        print("|---:|---:|---|---|---|---|---|")
        scores = find_relations([gold], None, relation_types=TYPES, train=train, gold=gold).scores
        print(f"| – | – | baseline | {_row(scores)}")
        for number, (claims, believed) in enumerate(((0.2, 0.2), (0.5, 0.2), (0.5, 0.4), (0.9, 0.15))):
            model = NoisyModel(passages, claims, believed, seed)
            with (
                LLMServer(model) as server,
                Client(server.settings(concurrency=8), Path(folder) / str(number)) as client,
            ):
                for verify in (False, True):
                    run = find_relations([gold], None, relation_types=TYPES, client=client, verify=verify, gold=gold)
                    name = "with the second look" if verify else "claims alone"
                    print(f"| {claims:.0%} | {believed:.0%} | {name} | {_row(run.scores)}", flush=True)


def run_baseline(folder: Path) -> None:
    """Learn from all documents but one, and find the relations of that one."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "passages.jsonl"
        report = import_annotations([folder], output)
        passages = [passage for passage in read_passages(output) if passage.relations is not None]
    names = sorted({one.type for passage in passages for one in passage.relations})
    labels = sorted({span.label for passage in passages for span in passage.spans})
    types = RelationTypes.model_validate(
        {"relation_types": [{"name": name, "head": labels, "tail": labels} for name in names]}
    )
    found = []
    for held_out in passages:
        baseline = learn_baseline([one for one in passages if one is not held_out], types)
        relations = [one.relation for one in baseline.find(held_out.text, held_out.spans)]
        found.append(FoundIn(held_out.text, str(held_out.meta.get("source", "")), held_out.spans, relations, True))
    scores = score_relations(passages, found, types)
    print(
        f"{len(passages)} documents; relations read, refused: {report.relations['read']}, {report.relations['refused']}"
    )
    for name, one in [("all", scores.micro), *scores.types.items()]:
        print(f"{name}: precision {with_interval(one.precision)}, recall {with_interval(one.recall)}, "
              f"F1 {with_interval(one.f1)}, {one.support} relations")  # fmt: skip
    together = with_interval(scores.false_on_unrelated)
    print(f"false on pairs that only occur together: {together} of {scores.unrelated_pairs}")


def _row(scores) -> str:
    micro = scores.micro
    cells = (micro.precision, micro.recall, micro.f1, scores.false_on_unrelated)
    return " | ".join(map(with_interval, cells)) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("planted", "baseline"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--passages", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.what == "planted":
        run_planted(arguments.passages, arguments.seed)
    else:
        run_baseline(arguments.folder)
