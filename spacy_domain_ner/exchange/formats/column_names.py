"""What the columns of a table are by name: the names that headers give them, and the option `columns`."""

import re
from collections import Counter
from collections.abc import Sequence

from spacy_domain_ner.errors import UserError

# What a column can be, by the names that headers give it. The first names of a role come first where several columns
# have one of them.
NAMES: dict[str, tuple[str, ...]] = {
    "token": ("token", "tokens", "word", "words", "form", "forms", "tokentext", "wordform", "surface", "text", "term"),
    "tag": (
        "ner", "nertag", "nertags", "nerlabel", "nerlabels", "ne", "netag", "nelabel", "namedentity", "namedentitytag",
        "entitytag", "entitylabel", "iobtag", "biotag", "iob", "iob2", "bio", "bioes", "bilou", "entiob", "tag", "tags",
        "label", "labels", "gold", "true", "entity", "entities", "annotation", "target", "pred", "prediction",
    ),
    "type": ("type", "entitytype", "nertype", "enttype", "entityclass", "category", "class"),
    "sentence": (
        "sentence", "sentences", "sentenceid", "sentenceidx", "sentenceindex", "sentenceno", "sentencenr",
        "sentencenum", "sentencenumber", "sent", "sentid", "sentidx", "sentindex", "sentno", "sentnr", "sentnum",
        "sentnumber", "sid", "sidx", "textid", "exampleid", "sampleid", "utteranceid", "tweetid",
    ),
    "document": (
        "document", "documentid", "documentno", "documentname", "doc", "docid", "docidx", "docno", "docname", "docnum",
        "file", "filename", "fileid", "article", "articleid", "pmid", "source",
    ),
    "index": (
        "", "index", "idx", "i", "no", "nr", "num", "unnamed0", "rowid", "row", "tokenid", "tokenidx", "tokenindex",
        "tokennumber", "wordid", "wordidx", "wordindex", "position", "start", "end", "startchar", "endchar", "begin",
        "offset", "startoffset", "endoffset",
    ),
    "other": (
        "pos", "postag", "postags", "upos", "xpos", "cpos", "ppos", "partofspeech", "chunk", "chunks", "chunktag",
        "chunktags", "lemma", "lemmas", "stem", "shape", "dep", "deprel", "head", "feats", "deps", "misc",
    ),
}  # fmt: skip
# The roles that can be given, `_` apart.
ROLES = ("token", "tag", "type", "sentence", "document")
_ROLE_OF = {name: role for role, names in NAMES.items() for name in names}
_GIVEN = re.compile(r"\s*([^=,]+?)\s*=\s*(\"[^\"]*\"|[^,]*)")


def role_of(name: str) -> str:
    """Return what a column is by its name in a header, "" where the name is not known."""
    return _ROLE_OF.get(plain_name(name), "") if plain_name(name) or not name.strip() else ""


def read_given(columns: str, names: Sequence[str], width: int) -> dict[str, int]:
    """Read what the option `columns` says.

    Args:
        columns: `token=2,tag=Tag` with the numbers or names of columns, or the role of each column: `_,token,_,tag`.
        names: The names of the columns, empty where the table has no header.
        width: The number of columns.

    Returns:
        The column, counted from 0, of each role that is given.

    Raises:
        UserError: It names a role or a column that does not exist.
    """
    given: dict[str, int] = {}
    parts = _GIVEN.findall(columns) if "=" in columns else []
    if not parts:
        listed = [part.strip() for part in columns.split(",")]
        if len(listed) != width:
            raise UserError(
                f"`columns` gives {len(listed)} role(s), and the table has {width} columns",
                "Give a role or _ for each, or roles by name: `columns=token=1,tag=4`",
            )
        parts = [(part, str(number)) for number, part in enumerate(listed, 1)]
    for name, place in parts:
        role = name if name in ROLES else role_of(name)
        if name == "_" or role in ("other", "index"):
            continue
        if role not in ROLES:
            raise UserError(f"`columns` has the role {name!r}", f"The roles are {', '.join(ROLES)}, and _ for others.")
        if role in given:
            raise UserError(f"`columns` gives the role {role} twice", "Each role belongs to one column.")
        given[role] = _place(place.strip().strip('"'), names, width)
    if double := next((place for place, count in Counter(given.values()).items() if count > 1), None):
        raise UserError(f"`columns` gives column {double + 1} two roles", "Each role belongs to another column.")
    return given


def plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def _place(place: str, names: Sequence[str], width: int) -> int:
    """The column, counted from 0, that has a name, or a number counted from 1."""
    if place.isdecimal() and len(place) < 6 and 1 <= int(place) <= width:
        return int(place) - 1
    alike = [number for number, name in enumerate(names) if name.strip().lower() == place.strip().lower()]
    if alike:
        return alike[0]
    known = f"They are {', '.join(map(repr, names))}." if names else "The first line does not name them."
    what = (
        f"There is no column {place}: the lines have {width}" if place.isdecimal() else f"There is no column {place!r}"
    )
    raise UserError(what, f"Name others by `columns`, by their numbers or names. {known}")
