"""The tokenizer's rules: what is one name stays one token, and a token ends wherever an annotation may end.

spaCy's tokenizer cuts text at white space and works on each chunk. As long as no whole-token rule matches, it takes a
prefix or a suffix off; what is left, if still no whole token, is cut at the infixes, and an infix is a token itself.
So there are three kinds of rules here, each put before those that the tokenizer has, none taking their place:

- NAMES, which are kept whole: nothing is taken off a chunk that is one, and as an infix of its own a name stays whole
  also where it is glued to others (`url=/api/v2/orders`, `[docs](/docs/x)`, `chore(edge-relay):`);
- JOINTS, infixes at which two names, or a name and its value, meet;
- EDGES, prefixes and suffixes of mark-up that spaCy leaves on a word, and long runs of punctuation taken off at once:
  spaCy takes them off one by one, which costs the square of their number.

All are plain patterns, so they are saved with the model, which then needs this plugin no more. Each begins where no
name can be under way (`_START`): else a long chunk would be tried from each of its characters.
"""

import re

from spacy.tokenizer import Tokenizer

# Nor right after a closing mark: in `Redis`/Memcached the slash is between two names.
_START = r"(?<![\w.@/:{}<>$%~+*-])(?<![\w.][`\"')\]])"

# A part of a path that stands for another: {id}, {{id}}, ${ID}, <name>.
_PLACEHOLDER = r"(?:\$?\{{1,2}[^\s{}/]*\}{1,2}|<[^\s<>/]+>)"
_PATH = rf"(?:[\w.%~+@:$*!/-]|{_PLACEHOLDER})*(?<=[\w}}>*/])"
_QUERY = rf"(?:\?(?:[\w.%~+@:$*=&;,/\[\]-]|{_PLACEHOLDER})*(?<=[\w}}>\]*=]))?"

# The parts of an English compound that is made of a name: "Kafka-based", "non-Kubernetes", "redis-backed". The name
# ends inside, so it must be a token.
_PROSE_LAST = (
    "and|as|aware|backed|based|bound|capable|compatible|compliant|controlled|dependent|driven|enabled|facing|first|"
    "flavou?red|for|free|friendly|generated|heavy|hosted|independent|induced|initiated|internal|less|level|like|linked|"
    "maintained|managed|native|of|only|or|oriented|owned|powered|provided|ready|related|side|specific|style|styled|to|"
    "triggered|vs|wide|wise"
)
_PROSE_FIRST = "anti|ex|inter|intra|multi|non|per|post|pre|re|self|semi|un"
_LOWER = r"[a-z0-9_][a-z0-9_.]*(?<![.])"
_UPPER = r"[A-Z][\w.]*(?<![.])"
_VERSION = r"(?:@[\dv^~][\w.^~+-]*(?<=\w))?"
# Enough of the top-level domains to tell a host's name from a file's or a library's (Node.js).
_DOMAIN = r"(?:[\w-]+\.)+(?:ai|app|cloud|co|com|de|dev|edu|eu|fr|gov|in|internal|io|local|net|nl|org|sh|svc|uk)"

NAMES = (
    # https://api.acme.io/v1/charges, postgres://db:5432/orders
    rf"[A-Za-z][A-Za-z0-9+.-]*://{_PATH}{_QUERY}",
    # /api/v2/orders/{id}?expand=items, /users/:id, /wp-json/*
    rf"/(?=[\w{{<$:*@.~%]){_PATH}{_QUERY}",
    # _matrix/client/v3/account/whoami, api/v1/users, v2/keys/{id}
    rf"(?:_\w|api/|v\d+/){_PATH}(?<=[\w}}>*]){_QUERY}",
    # openpolicyagent.org/webhook, nvcr.io/nvidia/pytorch:24.01-py3
    rf"{_DOMAIN}(?::\d+)?/{_PATH}(?<=[\w}}>*]){_QUERY}",
    # orders.v1.OrderService/GetOrder
    r"(?:[a-z]\w*\.)+[A-Z]\w*/[A-Z]\w*",
    # --max-retries, -javaagent, -XX:+UseG1GC
    r"--?[A-Za-z][\w.]*(?:-[\w.]+)*(?<![.])|-XX:[+-]?\w+",
    # @babel/core, @acme/web-platform, @sre-oncall
    rf"@[A-Za-z][\w.-]*(?:/[\w.-]+)?(?<=\w){_VERSION}",
    # checkout-api, redis-cache-02:6379, react-router-dom@6.4
    rf"(?!(?:{_PROSE_FIRST})-)(?=[\d_.-]*[a-z]){_LOWER}(?:-(?!(?:{_PROSE_LAST})(?![\w-])){_LOWER})+(?::\d+|{_VERSION})",
    # X-Forwarded-For, SIG-Release
    rf"{_UPPER}(?:-(?:{_UPPER}|\d[\w.]*(?<![.])))+",
)

# Characters that no name has inside. A run of them is one token: spaCy skips an infix that directly follows another.
JOINTS = (
    r"(?<=\w)(?:->|=>|<-|&&|\|\||::|[!~]=|[-=]{2,}>)",
    # `repository`-queue, "Redis"/Memcached
    r"(?<=\w)[`\")\]]+[-/](?=\w)",
    r"(?:[\"`()\[\]{}<>|;&=\\“”«»—–→←⇒•·]|'(?=[:,;=)\]])|/(?=[`\"*-])|,(?=[^\d\s])|:(?=[/\"`'\[({]))"
    r"(?:[\"`'()\[\]{}<>|;,:&=\\“”«»—–→←⇒•·*]|/(?=[`\"*]))*",
    # user@host, but not package@1.2
    r"(?<=\w)@(?=[A-Za-z\"])",
    r"(?<=\w)\+(?=[A-Za-z])",
)

_EDGE = r"[^\w\s/@-]"
PREFIXES = (rf"{_EDGE}{{8,}}", r"[|\\]", r"(?:->|=>|→|←|⇒)")
# Tried at the run's first character only: from each, a long run inside a chunk would cost the square of its length.
SUFFIXES = (rf"{_EDGE}(?<!{_EDGE}{{2}}){_EDGE}{{7,}}$", r"(?<=\w/)\.$")

_NAME_END = r"(?![\w@]|-(?!>)|[.:](?=\w))"
# Spares most words the trying of every pattern: each name has one of these characters, and not far from its start.
# Looked for to the end of a long chunk, from each place where a name can start, it would cost the square of its length.
_HAS_MARK = r"(?=[^/@-]{0,99}[/@-])"
WHOLE = rf"{_HAS_MARK}(?:{'|'.join(NAMES)})\Z"
# spaCy's pattern for URLs takes time by the square of a chunk's length, and no URL is as long as this or has none of
# the marks. It takes for a URL also two names (Node.js/Express), and a setting with its value.
URL = r"(?![\s\S]{2001})(?=[^.:/@]*[.:/@])(?!\w+\.(?:js|py|ts)/|[^?]*=|\S*[|`\"<>])(?:"
# At a chunk that is a name these match nothing, of length 0, before any prefix or suffix can: spaCy then takes nothing
# off. Its own hook for this, token_match, would be one more call for every chunk.
# No language's prefixes begin with a letter, so the many chunks that do are spared the look.
PREFIX = rf"^(?:(?=[\W_])(?:(?={WHOLE})|(?=_\w+/)|{'|'.join(PREFIXES)})|(?:"
SUFFIX = rf"^(?={WHOLE})|{'|'.join(SUFFIXES)}|(?:"
INFIX = rf"{_START}{_HAS_MARK}(?:{'|'.join(NAMES)}){_NAME_END}|(?=\W)(?:{'|'.join(JOINTS)})|(?:"


def customize_tokenizer(tokenizer: Tokenizer) -> None:
    """Add the rules to a tokenizer, before those that it has. Once they are there, nothing changes any more."""
    tokenizer.prefix_search = re.compile(_add(PREFIX, tokenizer.prefix_search, "))")).search
    tokenizer.suffix_search = re.compile(_add(SUFFIX, tokenizer.suffix_search, ")")).search
    tokenizer.infix_finditer = re.compile(_add(INFIX, tokenizer.infix_finditer, ")")).finditer
    if tokenizer.url_match is not None:
        tokenizer.url_match = re.compile(_add(URL, tokenizer.url_match, ")")).match


def _add(before: str, present: object, after: str) -> str:
    """The pattern of a bound method of a compiled pattern, with something put around it unless that is there."""
    # What can never match stands for no rule. The rules that are there stay together in a group: Python's `re` takes
    # what they share out of it, without which it would be much slower.
    old = _pattern(present) if present is not None else r"(?!)"
    return old if old.startswith(before) else f"{before}{old}{after}"


def _pattern(method: object) -> str:
    """The pattern behind a bound method, its flags written into it: as such they hold for it alone, and are saved."""
    compiled: re.Pattern[str] = method.__self__  # type: ignore[attr-defined]
    leading = re.match(r"\(\?[aiLmsux]+\)", compiled.pattern)
    pattern = compiled.pattern[leading.end() :] if leading else compiled.pattern
    flags = "".join(letter for letter in "aimsx" if compiled.flags & re.RegexFlag[letter.upper()])
    return f"(?{flags}:{pattern})" if flags else pattern
