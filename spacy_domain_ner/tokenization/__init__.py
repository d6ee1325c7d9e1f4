"""The tokenizer's rules for names such as `checkout-api` and `/api/v2/orders/{id}`."""

from collections.abc import Callable

import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.tokenization.rules import customize_tokenizer

__all__ = ["create_customize_tokenizer", "customize_tokenizer"]


@spacy.registry.callbacks("spacy_domain_ner.customize_tokenizer.v1")
def create_customize_tokenizer() -> Callable[[Language], Language]:
    """Make the callback for `[initialize.before_init]` of a training config.

    Set there, the rules are saved in the model, which then loads and tokenizes in the same way without this plugin.

    Returns:
        A function that adds the rules to a pipeline's tokenizer and returns the pipeline. It raises a UserError if the
        tokenizer is not spaCy's rule-based one.
    """

    def customize(nlp: Language) -> Language:
        if not isinstance(nlp.tokenizer, Tokenizer):
            raise UserError(
                f"The tokenizer of the language {nlp.lang!r} ({type(nlp.tokenizer).__name__}) has no rules to add to",
                "Remove [initialize.before_init] from the config, or choose a language with a rule-based tokenizer.",
            )
        customize_tokenizer(nlp.tokenizer)
        return nlp

    return customize
