"""Texts as messages show them."""

import unicodedata

import pytest

from spacy_domain_ner.text import trimmed, visible, without_invisible


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u200b Redis\ufeff\u00ad\n", "Redis"),
        ("pay\u200bments", "pay\u200bments"),
        ("Kettle\ufe0f", "Kettle"),
        ("Kettle\u200d", "Kettle"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("\u0d28\u0d4d\u200d", "\u0d28\u0d4d\u200d"),
        ("\u200b\u2060 ", ""),
        ("\ufe0f", ""),
        ("", ""),
    ],
)
def test_what_shows_nothing_is_trimmed_but_not_from_the_sign_it_belongs_to(text, expected):
    start, end = trimmed(f"a {text}b", 2, 2 + len(text))
    assert f"a {text}b"[start:end] == expected


def test_a_name_is_the_same_with_and_without_invisible_characters():
    assert without_invisible("\ufeffpay\u200bments-\u00adapi") == "payments-api"


def test_every_format_and_control_character_that_shows_nothing_is_escaped():
    # The format characters that have a shape: signs before Arabic, Syriac and Kaithi numbers.
    shown = {0x70F, 0x8E2, 0x6DD, 0x890, 0x891, 0x110BD, 0x110CD, *range(0x600, 0x606)}
    unseen = (chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cf", "Cc", "Cs"))
    assert [char for char in unseen if char not in "\n\t" and ord(char) not in shown and visible(char) == char] == []
