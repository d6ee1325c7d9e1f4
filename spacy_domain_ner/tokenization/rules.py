"""The tokenizer's rules: a name stays one token, and a token ends wherever an annotation may end.

spaCy's tokenizer cuts text at white space and works on each chunk. As long as no rule for whole tokens matches, it
removes a prefix or a suffix. If the rest is not a whole token either, it is cut at the infixes, and an infix is a token
itself. So there are three kinds of rules here, which are put before the tokenizer's own and replace none of them:

- NAMES stay whole. Nothing is removed from a chunk that is a name, and since a name is also an infix, it stays whole
  where it is joined to other text (`url=/api/v2/orders`, `[docs](/docs/x)`, `chore(edge-relay):`).
- JOINTS are infixes at which two names meet, or a name and its value.
- EDGES are prefixes and suffixes of mark-up that spaCy leaves on a word, and long runs of punctuation, which are
  removed at once: spaCy removes them one by one, which takes time by the square of their number.

All are plain patterns, so they are saved with the model, which then does not need this plugin. Each begins only where a
name can begin (`_START`): otherwise a long chunk would be tried from each of its characters.
"""

import re

from spacy.tokenizer import Tokenizer

# Not inside a name, and not right after a closing mark: in `Redis`/Memcached, the slash is between two names.
_START = r"(?<![\w.@/:{}<>$%~+*-])(?<![\w.][`\"')\]])"

# A placeholder for a part of a path: {id}, {{id}}, ${ID}, <name>.
_PLACEHOLDER = r"(?:\$?\{{1,2}[^\s{}/]*\}{1,2}|<[^\s<>/]+>)"
_PATH = rf"(?:[\w.%~+@:$*!/-]|{_PLACEHOLDER})*(?<=[\w}}>*/])"
_QUERY = rf"(?:\?(?:[\w.%~+@:$*=&;,/\[\]-]|{_PLACEHOLDER})*(?<=[\w}}>\]*=]))?"

# The parts of an English compound with a name in it: "Kafka-based", "non-Kubernetes", "redis-backed". The name ends
# inside the compound, so it must be a token.
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
# Enough top-level domains to tell the name of a host from that of a file or a library (Node.js).
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

# Characters that never occur inside a name. A run of them is one token: spaCy skips an infix that directly follows
# another one.
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
# Tried only at the first character of a run: tried at each, a long run inside a chunk would take time by the square of
# its length.
SUFFIXES = (rf"{_EDGE}(?<!{_EDGE}{{2}}){_EDGE}{{7,}}$", r"(?<=\w/)\.$")

_NAME_END = r"(?![\w@]|-(?!>)|[.:](?=\w))"
# Most words are passed over without trying every pattern: a name has one of these characters not far from its start.
# Looking for it up to the end of a long chunk, wherever a name can start, would take time by the square of its length.
_HAS_MARK = r"(?=[^/@-]{0,99}[/@-])"
WHOLE = rf"{_HAS_MARK}(?:{'|'.join(NAMES)})\Z"
# spaCy's pattern for URLs takes time by the square of a chunk's length, and every URL is shorter than this and has one
# of the marks. The pattern also matches two names (Node.js/Express), and a setting with its value.
URL = r"(?![\s\S]{2001})(?=[^.:/@]*[.:/@])(?!\w+\.(?:js|py|ts)/|[^?]*=|\S*[|`\"<>])(?:"
# At a chunk that is a name, these match an empty string before any prefix or suffix can match, so that spaCy removes
# nothing. Its own hook for that, token_match, would be one more call for every chunk.
# Prefixes never begin with a letter, so chunks that do, as most do, are passed over.
PREFIX = rf"^(?:(?=[\W_])(?:(?={WHOLE})|(?=_\w+/)|{'|'.join(PREFIXES)})|(?:"
SUFFIX = rf"^(?={WHOLE})|{'|'.join(SUFFIXES)}|(?:"
INFIX = rf"{_START}{_HAS_MARK}(?:{'|'.join(NAMES)}){_NAME_END}|(?=\W)(?:{'|'.join(JOINTS)})|(?:"


def customize_tokenizer(tokenizer: Tokenizer) -> None:
    """Add the rules to a tokenizer, before its own. A tokenizer that has them already stays as it is.

    Args:
        tokenizer: The tokenizer, which is changed in place.
    """
    tokenizer.prefix_search = re.compile(_add(PREFIX, tokenizer.prefix_search, "))")).search
    tokenizer.suffix_search = re.compile(_add(SUFFIX, tokenizer.suffix_search, ")")).search
    tokenizer.infix_finditer = re.compile(_add(INFIX, tokenizer.infix_finditer, ")")).finditer
    if tokenizer.url_match is not None:
        tokenizer.url_match = re.compile(_add(URL, tokenizer.url_match, ")")).match


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
