"""What is evaluated on what. Nothing here needs JAX."""

import dataclasses
from typing import Literal

from posegan_jax.errors import InputError
from posegan_jax.runtime.options import check_choices, check_least, option

Head = Literal["neck", "head"]
"""Where the head ends: its size is |head_top - neck|, or |head_top - head|."""

DEFAULT_PROTOCOLS = ("clean", "holes40", "gap10", "legs", "noise")
LONGEST = 250
"""Frames of a clip at most: ten seconds."""
SHORTEST = 48
"""Frames of a clip at least: two of the packaged model's windows."""


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """What is evaluated on what.

    Attributes:
      motion: motion set, as for ``motion.store.load_clips``; where it has 2D test clips, those;
        or a file of ``motion.labels``.
      protocols: names of ``protocols.PROTOCOLS``, 'everything', or 'detections', or of
        ``labelled.LABELLED``; empty: a choice.
      methods: names, see docs/benchmark.md; empty: ``methods.main_methods``.
      detections: folder of a detector's files for 2D test clips or labelled video, see
        ``detections``.
      unit: whole clips, or windows of as many frames as the model's.
      count: clips or windows; 0 for all clips.
      longest: frames of a clip; 0 for whatever they have.
      shortest: clips of 3D motion that have fewer frames are left out.
      seed: of cameras, places and protocols.
      split: of 3D motion.
      train: motion set whose split 'train' baselines learn from; ``motion`` if empty.
      head: what errors are measured in, see ``Head``.
    """

    motion: str = option(
        "procedural", "motion set: a prepared folder, .npz files with commas, or the embedded "
        "'procedural' one (default); where a folder has 2D test clips, those are used; or an .npz "
        "file of labelled video",
        metavar="PATH",
    )
    protocols: tuple[str, ...] = option(
        (), "clean, holes10, holes20, holes40, holes60, arm, leg, legs, lower, gap5, gap10, "
        f"gap20, crop, noise, wild, all, or everything (default: {','.join(DEFAULT_PROTOCOLS)}); "
        "of labelled video see docs/benchmark.md (default: everything)",
        name="protocol",
    )
    methods: tuple[str, ...] = option(
        (), "input, baselines and qualities by name, sN for windows every N frames, encoder, "
        "descentN, random (default: all baselines but network, encoder, fast and balanced); "
        "docs/benchmark.md has the list",
        name="method",
    )
    detections: str = option(
        "", "a detector's files for 2D test clips, e.g. FOLDER/S1/Seq2/video_4.json, or for "
        "labelled video, FOLDER/CLIP.json",
        metavar="FOLDER",
    )
    unit: Literal["clips", "windows"] = option(
        "clips", "whole clips (default), or single windows"
    )
    count: int = option(20, "clips or windows; 0: all clips (default: %(default)s)")
    longest: int = option(LONGEST, "frames of a clip at most; 0: any (default: %(default)s)")
    shortest: int = option(
        SHORTEST, "clips of 3D motion with fewer frames are left out (default: %(default)s)"
    )
    seed: int = option(1, "of cameras and protocols (default: %(default)s)")
    split: str = option("validation", "of the motion (default: %(default)s)")
    train: str = option(
        "", "motion set whose training clips baselines learn from (default: --motion)",
        metavar="PATH",
    )
    head: Head = option(
        "neck", "head size is from the top of the head to the neck (default), or to the head joint"
    )

    def __post_init__(self):
        """Raises InputError on values that make no sense."""
        check_choices(self)
        check_least(self, 0, "count", "longest", "seed")
        check_least(self, 3, "shortest")
        if self.unit == "windows" and not self.count:
            raise InputError("say how many windows")
