"""Label Studio: dialogues. Each turn of a `Paragraphs` object is a text of its own."""

from typing import Any

from spacy_domain_ner.exchange.formats.version import name_of

# The key under which a task names the texts that are turns.
TURNS = "turns of dialogues"


def with_turns(task: dict[str, Any]) -> dict[str, Any]:
    """Put the turns of annotated dialogues in their place, so that a task has nothing but texts.

    Args:
        task: A task. A dialogue is a list of objects; their text is under `text`, else it is their longest string. A
            region on it says the number of the turn where it starts and where it ends, and its offsets in them.

    Returns:
        The task: `dialogue[0]`, `dialogue[1]` and so on stand in its data, and regions name these as their object. A
        region over several turns stays as it is, on the first of them.
    """
    results = [
        result
        for key in ("annotations", "completions", "predictions")
        for item in _list(task.get(key))
        if isinstance(item, dict)
        for result in _list(item.get("result"))
    ] + _list(task.get("result"))
    dialogues = {key: value for key, value in task["data"].items() if _is_dialogue(value)}
    named = {name_of(result.get("to_name")) for result in results if _is_on_dialogue(result)}
    if not named or not dialogues:
        return {key: value for key, value in task.items() if key != TURNS}
    # With one dialogue, whatever the object is called shows it.
    keys = {name: next(iter(dialogues)) if len(dialogues) == 1 else name for name in named}
    texts = {
        f"{key}[{number}]": turn[_text_key(dialogues[key])]
        for key in set(keys.values()) & dialogues.keys()
        for number, turn in enumerate(dialogues[key])
    }
    made = {key: _moved(value, keys, texts) for key, value in task.items() if key != "data"}
    data = {key: value for key, value in task["data"].items() if key not in keys.values() or key not in dialogues}
    return {**made, "data": {**data, **texts}, TURNS: list(texts)}


def _is_dialogue(value: Any) -> bool:
    return bool(_list(value)) and all(isinstance(turn, dict) for turn in value) and _text_key(value) != ""


def _text_key(turns: list[dict[str, Any]]) -> str:
    """Give the key of the text in all turns; "" where they have none."""
    keys = [key for key in turns[0] if all(isinstance(turn.get(key), str) for turn in turns)]
    return max(keys, key=lambda key: (key == "text", sum(len(turn[key]) for turn in turns)), default="")


def _is_on_dialogue(result: Any) -> bool:
    return (
        isinstance(result, dict) and result.get("type") == "paragraphlabels" and isinstance(result.get("value"), dict)
    )


def _moved(value: Any, keys: dict[str, str], texts: dict[str, str]) -> Any:
    """Give annotations with their regions on turns."""
    if isinstance(value, list):
        return [_moved(item, keys, texts) for item in value]
    if not _is_on_dialogue(value):
        return {**value, "result": _moved(value["result"], keys, texts)} if _list_of_results(value) else value
    region = value["value"]
    turn = f"{keys.get(name_of(value.get('to_name')))}[{region.get('start')}]"
    if turn not in texts:
        return value
    if str(region.get("start")) == str(region.get("end")):
        region = {
            "start": region.get("startOffset"), "end": region.get("endOffset"), "text": region.get("text"),
            "labels": region.get("paragraphlabels"),
        }  # fmt: skip
    return {**value, "to_name": turn, "value": region}


def _list_of_results(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("result"), list)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
