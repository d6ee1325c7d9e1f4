"""What people made of a model's suggestions in Label Studio, where the annotation is not finished.

A finished annotation says what the whole text is: a suggestion that was removed is wrong, since nothing is there. A
draft, or a skipped task, says only what somebody did: what was drawn or changed is right, and what was removed or
changed is wrong. A suggestion that is still there may not have been looked at.
"""

from collections.abc import Sequence
from typing import Any

# What Label Studio says of a region that was filled in.
_FILLED_IN = ("prediction", "prediction-changed")


def suggested_to(item: dict[str, Any], predictions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Find the regions that a model had filled in for an annotator.

    Args:
        item: The annotation or draft.
        predictions: The task's predictions.

    Returns:
        The regions; none where nothing shows that the annotator began with them.
    """
    regions = _regions(item)
    parent, own = item.get("parent_prediction"), item.get("prediction")
    begun = parent is not None or any(region.get("origin") in _FILLED_IN for region in regions)
    ids, places = {_id(region) for region in regions} - {""}, {_place(region) for region in regions}
    found: list[dict[str, Any]] = []
    most = (0, 0)
    for prediction in [*([own] if isinstance(own, dict) else []), *predictions]:
        suggested = _regions(prediction)
        if parent is not None and prediction.get("id") == parent:
            return suggested
        # Two predictions may have the same ids.
        same = sum(_place(region) in places for region in suggested), sum(_id(one) in ids for one in suggested)
        if (begun and not found) or (same > most and same[1]):
            found, most = suggested, max(same, most)
    return found


def changes(
    regions: Sequence[dict[str, Any]], suggested: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare what is there with what had been filled in.

    Args:
        regions: The regions of the annotation or draft.
        suggested: The regions that had been filled in.

    Returns:
        The regions that were drawn or changed, and those that were removed or changed.
    """
    before, after = ({_place(region) for region in side} for side in (suggested, regions))
    made = [region for region in regions if _place(region) not in before]
    return made, [region for region in suggested if _place(region) not in after]


def _regions(item: dict[str, Any]) -> list[dict[str, Any]]:
    results = item.get("result")
    return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []


def _id(region: dict[str, Any]) -> str:
    found = region.get("id")
    return found if isinstance(found, str) else ""


def _place(region: dict[str, Any]) -> str:
    """Where a region is and what it says. The text beside the offsets may be written in another way."""
    value = region.get("value")
    said = {key: one for key, one in value.items() if key != "text"} if isinstance(value, dict) else {}
    return repr([region.get("to_name"), region.get("type"), sorted(said.items(), key=lambda item: item[0])])
