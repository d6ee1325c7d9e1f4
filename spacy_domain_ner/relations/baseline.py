"""The baseline that costs nothing: the most frequent relation of two entity types within a sentence.

Two entities of a sentence have the relation that their types, in this order, have most often in the training
annotations, in the direction that is most frequent there, unless more words stand between them than a limit. The limit
is the one with which the rule has its best F1 on the training annotations. What an LLM finds is worth its price only
where it is better than this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.pairs import Pair, pairs_of
from spacy_domain_ner.relations.rows import Found

# A relation that occurs less often between two types is not a rule.
LEAST_RELATIONS = 3


@dataclass(frozen=True)
class Rule:
    """The relation that two entities have where their types are these, in this order of the text.

    Attributes:
        first: The type of the entity that begins first.
        second: The type of the other.
        relation: The relation type.
        is_forward: Whether it leads from the first to the second.
        most_words: The most words between the two.
        right: How many pairs of the training annotations have the relation and are within the limit.
        pairs: How many pairs are within the limit.
        relations: How many pairs have the relation, within the limit or not.
    """

    first: str
    second: str
    relation: str
    is_forward: bool
    most_words: int
    right: int
    pairs: int
    relations: int

    @property
    def precision(self) -> float:
        """The share of the pairs within the limit that have the relation in the training annotations."""
        return self.right / self.pairs

    @property
    def f1(self) -> float:
        """The rule's F1 on the training annotations."""
        return 2 * self.right / (self.pairs + self.relations)

    def __str__(self) -> str:
        arrow = f"-{self.relation}->" if self.is_forward else f"<-{self.relation}-"
        return f"{self.first} {arrow} {self.second}"


@dataclass(frozen=True)
class Baseline:
    """The rules, by the types of the two entities in the order of the text.

    Attributes:
        rules: The rules.
        symmetric: The relation types that hold both ways.
        beyond: How many relations of the training annotations no rule can find, since their ends are in two sentences
            or overlap.
    """

    rules: dict[tuple[str, str], Rule] = field(default_factory=dict)
    symmetric: frozenset[str] = frozenset()
    beyond: int = 0

    def find(self, text: str, spans: list[Span]) -> list[Found]:
        """Find the relations of a passage.

        Args:
            text: The passage.
            spans: Its entities.

        Returns:
            The relations, each with the rule's precision in training as its confidence.
        """
        return list(self._find(text, spans))

    def _find(self, text: str, spans: list[Span]) -> Iterator[Found]:
        for pair in pairs_of(text, spans, 1):
            rule = self.rules.get((pair.first.label, pair.second.label))
            if rule is not None and pair.words <= rule.most_words:
                relation = Relation(pair.first, rule.relation, pair.second)
                relation = relation if rule.is_forward else relation.reversed
                yield Found(relation.normal(self.symmetric), confidence=rule.precision)


def learn_baseline(passages: Iterable[Passage], types: RelationTypes | None = None) -> Baseline:
    """Learn the rules from annotated passages.

    Args:
        passages: The training passages; those in which nobody has looked for relations are left out.
        types: The relation types, of which relations must be; None takes all.

    Returns:
        The rules.

    Raises:
        UserError: There is not a relation to learn from.
    """
    symmetric = types.symmetric if types else frozenset()
    # For each two types, the words between each pair and the relations that the pair has.
    seen: dict[tuple[str, str], list[tuple[int, set[tuple[str, bool]]]]] = defaultdict(list)
    in_all = within = 0
    for passage in passages:
        if passage.relations is None:
            continue
        relations = {one.normal(symmetric) for one in passage.relations if types is None or types.named(one.type)}
        in_all += len(relations)
        for pair in pairs_of(passage.text, passage.spans, 1):
            outcomes = set(_outcomes(pair, relations))
            within += len(outcomes)
            seen[pair.first.label, pair.second.label].append((pair.words, outcomes))
    if not in_all:
        raise UserError(
            "The training passages have no relations to learn from",
            "Annotate some: the `relations` of the annotation file, or an import from Label Studio, doccano or brat.",
        )
    rules = {key: rule for key, pairs in seen.items() if (rule := _rule(*key, pairs)) is not None}
    return Baseline(dict(sorted(rules.items())), symmetric, in_all - within)


def _outcomes(pair: Pair, relations: set[Relation]) -> Iterator[tuple[str, bool]]:
    """The relations that a pair has, each with whether it leads from the first to the second."""
    for relation in relations:
        if (relation.head, relation.tail) == (pair.first, pair.second):
            yield relation.type, True
        elif (relation.tail, relation.head) == (pair.first, pair.second):
            yield relation.type, False


def _rule(first: str, second: str, pairs: list[tuple[int, set[tuple[str, bool]]]]) -> Rule | None:
    counts = Counter(outcome for _, outcomes in pairs for outcome in outcomes)
    if not counts:
        return None
    # Where two are equally frequent, the names decide and not the order of the file.
    (relation, is_forward), most = min(counts.items(), key=lambda item: (-item[1], item[0]))
    if most < LEAST_RELATIONS:
        return None
    best: Rule | None = None
    right = 0
    ordered = sorted(pairs, key=lambda pair: pair[0])
    for number, (words, outcomes) in enumerate(ordered, 1):
        right += (relation, is_forward) in outcomes
        is_last = number == len(ordered) or ordered[number][0] > words
        if is_last and right:
            rule = Rule(first, second, relation, is_forward, words, right, number, most)
            best = rule if best is None or rule.f1 > best.f1 else best
    return best
