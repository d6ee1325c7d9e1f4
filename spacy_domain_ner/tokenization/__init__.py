"""The tokenizer's rules by field: names such as `checkout-api`, `1,2-dichloroethane`, `12(b)(6)` and `10-K/A`."""

from collections.abc import Callable
from functools import partial

import spacy
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.tokenization.rules import GROUPS, customize_tokenizer

__all__ = ["GROUPS", "create_customize_tokenizer", "create_customize_tokenizer_v2", "customize_tokenizer"]


@spacy.registry.callbacks("spacy_domain_ner.customize_tokenizer.v1")
def create_customize_tokenizer() -> Callable[[Language], Language]:
    """Make the callback of before the rules had groups: it adds those of software engineering.

    Returns:
        As `create_customize_tokenizer_v2(["software"])`.
    """
    return create_customize_tokenizer_v2(["software"])


@spacy.registry.callbacks("spacy_domain_ner.customize_tokenizer.v2")
def create_customize_tokenizer_v2(rules: list[str]) -> Callable[[Language], Language]:
    """Make the callback for `[initialize.before_init]` of a training config.

    Set there, the rules are saved in the model, which then loads and tokenizes in the same way without this plugin.

    Args:
        rules: The groups of rules: "software", "biomedical", "legal", "financial". Without any, only what holds for all
            text is added: characters that show nothing, marks between words, long runs of punctuation.

    Returns:
        A function that adds the rules to a pipeline's tokenizer and returns the pipeline. It raises a UserError if the
        tokenizer is not spaCy's rule-based one.

    Raises:
        UserError: There is no group of a name.
    """
    return partial(_customize, rules=rules)


def _customize(nlp: Language, rules: list[str]) -> Language:
    if not isinstance(nlp.tokenizer, Tokenizer):
        raise UserError(
            f"The tokenizer of the language {nlp.lang!r} ({type(nlp.tokenizer).__name__}) has no rules to add to",
            "Remove [initialize.before_init] from the config, or choose a language with a rule-based tokenizer.",
        )
    customize_tokenizer(nlp.tokenizer, rules)
    return nlp
