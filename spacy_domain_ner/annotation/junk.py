"""Texts that nobody should label: too long, hardly any words, in another language than the model's."""

import re
import runpy
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import spacy.lang

from spacy_domain_ner.text import UNSPACED_SCRIPTS

# Languages in Latin letters whose common words tell them from each other, by spaCy's lists of stop words.
LANGUAGES = ("ca", "cs", "da", "de", "en", "es", "fi", "fr", "hu", "id", "it", "nb", "nl", "pl", "pt", "ro", "sv", "tr")
# A passage of fewer words, such as a heading, does not tell what its words are.
FEWEST_WORDS = 4
# Of the characters that are not blanks, so many must be letters.
FEWEST_LETTERS = 0.4
# A "word" of so many characters is an encoded file, a key or a hash.
LONG_WORD = 80
# So many common words of another language, and so many times those of the model's, are not chance.
FOREIGN_WORDS, TIMES = 3, 3
_WORD = re.compile(r"[^\W\d_]+")
# An address, a path, the name of a user or a piece of code: it is not of any language.
_CODE = re.compile(r"[/\\@#_<>=]|\w[.:]\w")
# The characters of a word, on average, in a text of which nobody has counted the words yet: more is too long.
_CHARACTERS = 20


def why_junk(text: str, language: str, script: str, max_words: int) -> str:
    """Say why a text is not worth labelling.

    Args:
        text: The text.
        language: The model's language, such as "en"; "" where it is not known.
        script: The script of the texts that are labelled already, as `script_of` gives it; "" where it is not known.
        max_words: The most words of a passage.

    Returns:
        The reason; "" where it is worth it.
    """
    words = text.split()
    if len(words) > max_words or len(text) > _CHARACTERS * max_words:
        return f"longer than {max_words} words"
    characters = sum(map(len, words))
    letters = _WORD.findall(text)
    unspaced = re.search(f"[{UNSPACED_SCRIPTS}]", text)
    if len(words) < FEWEST_WORDS and not (unspaced and characters >= 2 * FEWEST_WORDS):
        return f"fewer than {FEWEST_WORDS} words"
    if sum(map(len, letters)) < FEWEST_LETTERS * characters:
        return "hardly any words"
    if not unspaced and sum(len(word) for word in words if len(word) > LONG_WORD) > characters / 2:
        return "encoded data, not words"
    own = script_of([text])
    if script and own and own != script:
        return f"in another script ({own.title()}, not {script.title()})"
    foreign = _foreign_language(_common_words(words), language)
    return f"in another language ({foreign}, not {language})" if foreign else ""


def script_of(texts: Iterable[str]) -> str:
    """Find the script that most letters of texts are of.

    Args:
        texts: The texts.

    Returns:
        Its name as Unicode's character names have it, such as "LATIN"; "" where there are too few letters.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_scripts(text))
    if sum(counts.values()) < 10:
        return ""
    return counts.most_common(1)[0][0]


def _scripts(text: str) -> Mapping[str, int]:
    if text.isascii():
        return {"LATIN": len(text)}
    return Counter(_script(character) for character in text if character.isalpha())


@cache
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ")[0].split("-")[0]
    # Japanese is written in all three; Korean, too, has Han characters.
    return "CJK" if name in ("HIRAGANA", "KATAKANA", "CJK", "HANGUL") else name


def _common_words(words: Iterable[str]) -> Iterator[str]:
    """The words that may be common ones of a language: no parts of addresses and code, and no single letters."""
    for word in words:
        if not _CODE.search(word):
            yield from (letters for letters in _WORD.findall(word) if len(letters) > 1)


def _foreign_language(words: Iterable[str], language: str) -> str:
    """The language that a text is in, where its common words say so; "" where they are those of the given one."""
    if language not in LANGUAGES:
        return ""
    counts: Counter[str] = Counter()
    for word in {word.lower() for word in words}:
        counts.update(_languages_of().get(word, ()))
    own = counts.pop(language, 0)
    found = max(sorted(counts), key=counts.__getitem__, default="")
    return found if found and counts[found] >= max(FOREIGN_WORDS, TIMES * own + 1) else ""


@cache
def _languages_of() -> Mapping[str, tuple[str, ...]]:
    """The languages of each common word."""
    found: dict[str, list[str]] = {}
    folder = Path(spacy.lang.__path__[0])
    for language in LANGUAGES:
        # Without the language's package: that of French compiles an expression that takes seconds.
        for word in runpy.run_path(str(folder / language / "stop_words.py"))["STOP_WORDS"]:
            found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}
