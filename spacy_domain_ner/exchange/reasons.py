"""Why an import changes, refuses or leaves out something: each reason with its wording."""

from dataclasses import dataclass, field
from enum import Enum


class Reason(str, Enum):
    """Why something was changed, refused or left out. The value is the wording, to be filled in with details."""

    # Anything, in the words of whoever read the file.
    IN_WORDS = "{words}"

    # A version of a passage is left out.
    SKIPPED = "skipped by the annotator"
    UNANNOTATED = "not annotated"
    PARTIAL = "annotated in part only: the rest of the text is unknown"
    PREDICTED = "a model's prediction only"
    UNCONFIRMED = "it has no span, and another version is annotated: likely not annotated"
    OTHER_ANNOTATOR = "made by another annotator"
    NOT_GROUND_TRUTH = "not marked as ground truth"
    REPLACED = "replaced by the annotator's later version"
    NO_SPAN = "without any span"
    COMBINED = "another version of the passage was taken, or all were combined"

    # A passage is refused.
    EMPTY_TEXT = "an empty text"
    TOO_LONG = "a text of {length} characters: divide it into passages of a few sentences"
    NOT_JSON = "what the record has beside its text can't be written as JSON"
    TOO_DEEP = "what the record has beside its text is nested too deeply"
    SURROGATE = "half of a surrogate pair: this is not Unicode text"
    OTHER_UNICODE_FORM = "the same text in another Unicode form"
    NO_SPAN_FITS = "none of its spans can be taken"
    HAS_UNKNOWN_LABEL = "it has the unknown label {label!r}"
    HAS_OVERLAP = "{label} overlaps {rival} {rival_text!r} in it"

    # A span is refused.
    WHITE_SPACE = "{label} {start} to {end} is white space only"
    INVISIBLE = "{label} {start} to {end} is invisible characters only"
    INVERTED = "{label} {start} to {end} ends before it starts"
    EMPTY = "{label} {start} to {end} is empty"
    OUTSIDE = "{label} {start} to {end} lies outside the text of {length} characters"
    UNKNOWN_LABEL = "unknown label {label!r}"
    OVERLAPS_LONGER = "{label} overlaps {rival} {rival_text!r}, which is longer"
    OVERLAPS_EARLIER = "{label} overlaps {rival} {rival_text!r}, which comes first"

    # A span is left out.
    RENAMED_TO_NOTHING = "{label}: renamed to nothing"

    # A span is changed.
    OTHER_UNIT = "{label}: its offsets count {unit}"
    MOVED = "{label}: moved from {start}:{end} to {new_start}:{new_end}, the only place of its text"
    OTHER_TEXT = "{label}: the file gives {claim!r} as its text; the offsets were kept"
    TRIMMED = "{label}: white space at its edges cut off"
    TRIMMED_INVISIBLE = "{label}: invisible characters at its edges cut off"
    MERGED = "{label}: there twice, merged"

    # A relation is refused.
    RELATION_IN_WORDS = "a relation: {words}"
    UNKNOWN_END = "{type}: its {end} {id!r} is not a span of the passage"
    LOST_END = "{type}: its {end} was not taken ({words})"
    UNKNOWN_RELATION = "unknown relation type {type!r}"
    TO_ITSELF = "{type}: it leads from a span to itself"

    # A relation is left out.
    RELATION_RENAMED = "{type}: the relation is renamed to nothing"
    NO_MAJORITY = "{type}: {count} of {versions} versions have the relation"
    END_GONE = "{type}: an end of the relation is not a span of the new annotation"

    # A relation is changed.
    RELATION_MERGED = "{type}: the relation is there twice, merged"

    # A passage is changed.
    VERSIONS_DIFFER = "{versions} versions{whose} differ in {spans} span(s){relations}{taken}"
    NOT_DECIDED = "{versions} versions{whose} differ in {spans} span(s){relations}; {undecided} place(s) stay unknown"
    OLD_ANNOTATION_KEPT = "it has no span and may not be annotated; the annotation that was there stays"
    UPDATED = "updated: {changes}"
    CUT_IN_ANOTHER_WAY = "updated: the passage is cut in another way now"

    def note(self, text: str = "", **details: object) -> "Note":
        """Make a note with this reason.

        Args:
            text: The mention; "" where the note is about a whole passage.
            details: What the wording is filled in with.
        """
        return Note(self, text, details)


@dataclass(frozen=True)
class Note:
    """One thing that an import changed, refused or left out, as a person reads it.

    Attributes:
        reason: Why.
        text: The mention; "" where the note is about a whole passage.
        details: What the reason's wording is filled in with.
    """

    reason: Reason
    text: str = ""
    details: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.reason.value.format(**self.details)
