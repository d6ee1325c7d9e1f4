"""A large language model as one more source of first labels."""

from collections.abc import Iterator, Sequence

from spacy_domain_ner.bootstrapping.sources import Found
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.llm.entities import EntityFinder
from spacy_domain_ner.llm.prompt import EntityPrompts
from spacy_domain_ner.schema import EntitySchema


class LargeLanguageModel:
    """What an LLM finds by the guide and by examples from the reviewed passages. It is a source like the others.

    Attributes:
        failed: Why a passage was not answered, for each of those.
    """

    def __init__(self, client: Client, schema: EntitySchema, examples: Sequence[Passage]) -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: Who is asked.
            schema: The entity types with their guide.
            examples: Reviewed passages, none of which the model is measured by.
        """
        self.name = f"LLM {client.settings.model}"
        self.types = frozenset(schema.labels)
        self.failed: list[str] = []
        settings = client.settings
        prompts = EntityPrompts(schema, examples, examples=settings.examples, guide=settings.guide)
        self._finder = EntityFinder(client, prompts, "bootstrap")

    def find(self, passages: Sequence[Passage]) -> Iterator[list[Found] | None]:
        """Ask for the entities of each passage; None where there is no answer."""
        for found in self._finder(passage.text for passage in passages):
            if found.error:
                self.failed.append(found.error)
                yield None
            else:
                yield [Found(span) for span in found.spans]
