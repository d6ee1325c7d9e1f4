"""Texts as messages show them."""

import unicodedata

import pytest

from spacy_domain_ner.text import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pay\u200bments-api", "pay\\u200bments-api"),
        ("\ufeffRedis\u00ad", "\\ufeffRedis\\xad"),
        ("\x1b[31mRedis\x1b[0m\x07", "\\x1b[31mRedis\\x1b[0m\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb\u2066c", "a\\u202eb\\u2066c"),
        ("TEAM\U000e0041", "TEAM\\U000e0041"),
        ("one\rtwo\u2028three\x85", "one\\rtwo\\u2028three\\x85"),
        ("\udc80.txt", "\\udc80.txt"),
        ("a line\n\tand another", "a line\n\tand another"),
        ("naïve 你好 🚀", "naïve 你好 🚀"),
        ("C:\\u200b is written so", "C:\\u200b is written so"),
    ],
)
def test_what_nobody_sees_is_shown_as_an_escape(text, shown):
    assert visible(text) == shown


def test_every_format_and_control_character_that_shows_nothing_is_escaped():
    # The format characters that have a shape: signs before Arabic, Syriac and Kaithi numbers.
    shown = {0x70F, 0x8E2, 0x6DD, 0x890, 0x891, 0x110BD, 0x110CD, *range(0x600, 0x606)}
    unseen = (chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cf", "Cc", "Cs"))
    assert [char for char in unseen if char not in "\n\t" and ord(char) not in shown and visible(char) == char] == []
