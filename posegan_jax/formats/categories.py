"""Categories of COCO annotations: which of them are people, and what their joints are called."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from posegan_jax.formats import jsonfile
from posegan_jax.formats.joint_map import by_names
from posegan_jax.formats.joint_names import in_order
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

_CROWDPOSE = frozenset((*DETECTED_12, "head", "neck"))
"""The joints of a CrowdPose file, whose head is the top of it."""


def is_id(value: Any) -> bool:
    """Whether a value may be that of an image or a category."""
    return isinstance(value, str) or jsonfile.is_whole(value)


def category_of(annotation: dict) -> Any:
    """The id of an annotation's category, None where it has none."""
    category = annotation.get("category_id")
    return category if is_id(category) else None


def kept(
    content: dict, known: Mapping[int, str]
) -> tuple[frozenset | None, list[str]]:
    """The categories that are read where their joints differ, None for all; and a note of others.

    They are the one with most joints of people, and those whose joints are the same. Of several
    with as many the one with most annotations counts.

    Args:
      content: of the file.
      known: number of joints -> skeleton.
    """
    named = _named(content)
    counts: dict[Any, Counter[int]] = {}
    for item in content["annotations"]:
        if item.get("keypoints"):
            found = counts.setdefault(category_of(item), Counter())
            found[len(item["keypoints"]) // 3] += 1
    joints = {category: found.most_common(1)[0][0] for category, found in counts.items()}
    layouts = {
        category: tuple(named[category]) if len(named.get(category, ())) == count else None
        for category, count in joints.items()
    }

    def same(a: Any, b: Any) -> bool:
        alike = layouts[a] is None or layouts[b] is None or layouts[a] == layouts[b]
        return joints[a] == joints[b] and alike

    def worth(category: Any) -> tuple[int, int]:
        names = layouts[category]
        name = by_names(names) if names else known.get(joints[category])
        own = set() if name is None else set(get_skeleton(name).joints) & set(DETECTED_12)
        return len(own), counts[category].total()

    if len(counts) < 2:
        return None, []
    best = max(counts, key=worth)
    chosen = frozenset(category for category in counts if same(category, best))
    if not worth(best)[0] or len(chosen) == len(counts):
        return None, []
    left = ", ".join(
        f"{_title(content, category)} ({counts[category].total()} of {joints[category]} joints)"
        for category in counts if category not in chosen
    )
    return chosen, [
        f"of the categories with joints {_title(content, best)} is read; left as they are: {left}"
    ]


def _title(content: dict, category: Any) -> str:
    """What a category is called in a note."""
    categories = content.get("categories")
    names = (
        item.get("name") for item in (categories if isinstance(categories, list) else [])
        if isinstance(item, dict) and item.get("id") == category
    )
    name = next((name for name in names if isinstance(name, str)), f"category {category}")
    return " ".join(name.split())[:40]


def by_category(
    content: dict, annotations: list[dict], count: int
) -> tuple[dict[int, str], list[str]]:
    """{number of joints: skeleton} by the names of the category, and a note if they say nothing.

    Args:
      content: of the file.
      annotations: those that are read.
      count: of the joints of an annotation.
    """
    names = _names(content, annotations)
    if not names:
        return {}, []
    if len(names) != count:
        return {}, [
            f"the category names {len(names)} joints where annotations have {count}: their number "
            "says which they are"
        ]
    if frozenset(in_order(names) or ()) == _CROWDPOSE:
        names = ["head_top" if name.strip().lower() == "head" else name for name in names]
    skeleton = by_names(names)
    if skeleton is None:
        return {}, ["no joint is known by the names of the category: their number says which"]
    return {count: skeleton}, []


def _named(content: dict) -> dict[Any, list[str]]:
    """What categories call their joints, of those that name any."""
    categories = content.get("categories")
    return {
        item.get("id") if is_id(item.get("id")) else None: item["keypoints"]
        for item in (categories if isinstance(categories, list) else [])
        if isinstance(item, dict) and isinstance(item.get("keypoints"), list)
        and item["keypoints"] and all(isinstance(name, str) for name in item["keypoints"])
    }


def _names(content: dict, annotations: list[dict]) -> Sequence[str]:
    """What the category of most annotations calls its joints, nothing where none is named."""
    named = _named(content)
    ids = [item.get("category_id") for item in annotations]
    used = Counter(i for i in ids if is_id(i) and i in named).most_common(1)
    if used:
        return named[used[0][0]]
    return next(iter(named.values())) if len(named) == 1 else ()
