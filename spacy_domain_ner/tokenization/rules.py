"""The tokenizer's rules: a name stays one token, and a token ends wherever an annotation may end.

spaCy's tokenizer cuts text at white space and works on each chunk. As long as no rule for whole tokens matches, it
removes a prefix or a suffix. If the rest is not a whole token either, it is cut at the infixes, and an infix is a token
itself. So there are three kinds of rules here, which are put before the tokenizer's own:

- NAMES stay whole. Nothing is removed from a chunk that is a name, and since a name is also an infix, it stays whole
  where it is joined to other text (`url=/api/v2/orders`, `[docs](/docs/x)`, `chore(edge-relay):`).
- JOINTS are infixes at which two names meet, or a name and its value.
- EDGES are prefixes and suffixes of mark-up that spaCy leaves on a word, and long runs of punctuation, which are
  removed at once: spaCy removes them one by one, which takes time by the square of their number.

Names and joints come from the groups that a project chooses (`GROUPS`), edges are for all text. Of spaCy's rules only
some special cases are dropped, emoticons such as `):` and `8)`, where a field's text has brackets instead. All are
plain patterns, so they are saved with the model, which then does not need this plugin.
"""

import re
from collections.abc import Sequence

from spacy.tokenizer import Tokenizer

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.text import INVISIBLE
from spacy_domain_ner.tokenization import biomedical, financial, legal, software
from spacy_domain_ner.tokenization.group import HIDDEN, Group, without_rules

# The groups by name: each is the table of cases in the module of that name. cookiecutter.json lists the names, too.
GROUPS: dict[str, Group] = {
    "software": software.GROUP,
    "biomedical": biomedical.GROUP,
    "legal": legal.GROUP,
    "financial": financial.GROUP,
}

_EDGE = r"[^\w\s/@-]"
PREFIXES = (rf"[{INVISIBLE}]+", rf"{_EDGE}{{8,}}", r"[|\\]", r"(?:->|=>|→|←|⇒)")
# Tried only at the first character of a run: tried at each, a long run inside a chunk would take time by the square of
# its length.
SUFFIXES = (
    rf"{_EDGE}(?<!{_EDGE}{{2}}){_EDGE}{{7,}}$",
    r"(?<=\w/)\.$",
    # Not after a sign that is combined with it: a syllable of Malayalam, an emoji.
    rf"(?=[^\x00-~])(?:(?<=[^\W_])|(?<=[!-/:-@\[-`{{-~]))[{INVISIBLE}]+$",
    rf"[.,;:!?](?<=[{HIDDEN}].)[.,;:!?]*$",
)
# spaCy's pattern for URLs takes time by the square of a chunk's length, and every URL is shorter than this and has one
# of the marks. The pattern also matches two names (Node.js/Express), and a setting with its value.
URL = r"(?![\s\S]{2001})(?=[^.:/@]*[.:/@])(?!\w+\.(?:js|py|ts)/|[^?]*=|\S*[|`\"<>\\—])(?:"


def customize_tokenizer(tokenizer: Tokenizer, rules: Sequence[str] = ("software",)) -> None:
    """Add rules to a tokenizer, before its own. A tokenizer that has them already stays as it is.

    Args:
        tokenizer: The tokenizer, which is changed in place.
        rules: The names of groups, those of `GROUPS`. Without any, only what holds for all text is added. Where groups
            differ over a word, the first one holds.

    Raises:
        UserError: There is no group of a name.
    """
    groups = [GROUPS[name] for name in _known(rules)] or [without_rules()]
    prefix, suffix, infix = _patterns(groups)
    tokenizer.prefix_search = re.compile(_add(prefix, tokenizer.prefix_search, "))")).search
    tokenizer.suffix_search = re.compile(_add(suffix, tokenizer.suffix_search, ")")).search
    tokenizer.infix_finditer = re.compile(_add(infix, tokenizer.infix_finditer, ")")).finditer
    if dropped := "|".join(dict.fromkeys(one for group in groups for one in group.dropped)):
        tokenizer.rules = {form: tokens for form, tokens in tokenizer.rules.items() if not re.fullmatch(dropped, form)}
    if tokenizer.url_match is not None:
        tokenizer.url_match = re.compile(_add(URL, tokenizer.url_match, ")")).match


def _known(rules: Sequence[str]) -> list[str]:
    """The names of the groups, each once."""
    if isinstance(rules, str):
        rules = [rules]
    for name in rules:
        if name not in GROUPS:
            raise UserError(
                f"There are no tokenizer rules {name!r}",
                f"In [initialize.before_init] of the config, `rules` takes a list of: {', '.join(GROUPS)}.",
            )
    return list(dict.fromkeys(rules))


def _patterns(groups: Sequence[Group]) -> tuple[str, str, str]:
    """What comes before the tokenizer's own prefixes, suffixes and infixes."""
    heads, tails, joints, suffixes = (
        list(dict.fromkeys(one for group in groups for one in getattr(group, part)))
        for part in ("heads", "tails", "joints", "suffixes")
    )
    # At a chunk that is a name, these match an empty string before any prefix or suffix can match, so that spaCy
    # removes nothing. Its own hook for that, token_match, would be one more call for every chunk.
    # Prefixes hardly ever begin with a letter, so chunks that do, as most do, are passed over.
    opening = "|".join([r"[\W_]", *(group.opening for group in groups if group.opening)])
    prefix = rf"^(?:(?={opening})(?:{'|'.join([*heads, *PREFIXES])})|(?:"
    whole = [f"^(?={'|'.join(tails)})"] if tails else []
    suffix = "|".join([*whole, *SUFFIXES, *suffixes]) + "|(?:"
    names = "".join(f"{group.names}|" for group in groups if group.names)
    infix = rf"{names}(?=\W)(?:{'|'.join(joints)})|(?:"
    return prefix, suffix, infix


def _add(before: str, present: object, after: str) -> str:
    """Put something around the pattern of a compiled pattern's bound method, unless that was done before."""
    # Where there is no rule, a pattern that never matches takes its place. The present rules stay together in a group:
    # Python's `re` then factors out what they have in common, which makes them much faster.
    old = _pattern(present) if present is not None else r"(?!)"
    return old if old.startswith(before) else f"{before}{old}{after}"


def _pattern(method: object) -> str:
    """The pattern of a bound method with its flags written into it: so they apply to it alone, and are saved."""
    compiled: re.Pattern[str] = method.__self__  # type: ignore[attr-defined]
    leading = re.match(r"\(\?[aiLmsux]+\)", compiled.pattern)
    pattern = compiled.pattern[leading.end() :] if leading else compiled.pattern
    flags = "".join(letter for letter in "aimsx" if compiled.flags & re.RegexFlag[letter.upper()])
    return f"(?{flags}:{pattern})" if flags else pattern
