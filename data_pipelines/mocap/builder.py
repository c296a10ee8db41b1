"""The TFDS builder: clips into array_record, without TensorFlow."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_pipelines.mocap.source import SPLITS, Source


class MotionClips(tfds.core.GeneratorBasedBuilder):
    """Motion capture clips of one skeleton, at 25 frames per second but for native rates.

    Call ``download_and_prepare()`` from Python: the ``tfds`` command needs TensorFlow, and so does
    every file format but array_record. Text is read back as UTF-8 bytes.

    Args:
      sources: checked source files, all of the same joints; their clips keep their order.
      data_dir: the set is written to ``data_dir/motion_clips/<version>``.
      on_clip: called once for every clip, to show progress.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        *,
        sources: Sequence[Source],
        data_dir: Path,
        on_clip: Callable[[], Any] = lambda: None,
    ):
        self._sources, self._on_clip = tuple(sources), on_clip
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        text = tfds.features.Text
        origins = [{"dataset": s.dataset, "licence": s.licence} for s in self._sources]
        clips = [c for s in self._sources for split in SPLITS for c in s.clips[split]]
        joints, rates = clips[0].joints, sorted({clip.fps for clip in clips})
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Motion capture: 3D positions of {len(joints)} joints, millimetres, y up.",
            features=tfds.features.FeaturesDict(
                {
                    "positions": tfds.features.Tensor(
                        shape=(None, len(joints), 3), dtype=np.float32
                    ),
                    "fps": tfds.features.Scalar(np.float32),
                    "subject": text(),
                    "name": text(),
                    "text": text(),
                    "dataset": text(),
                    "licence": text(),
                }
            ),
            disable_shuffling=True,  # the order of the sources; training draws at random anyway
            metadata=tfds.core.MetadataDict(
                joints=list(joints), fps=rates[0] if len(rates) == 1 else rates, sources=origins
            ),
            license="\n".join(licence_lines(self._sources)),
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        present = (split for split in SPLITS if any(s.clips[split] for s in self._sources))
        return {split: self._generate_examples(split) for split in present}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        clips = ((source, clip) for source in self._sources for clip in source.clips[split])
        for i, (source, clip) in enumerate(clips):
            yield i, {
                "positions": clip.positions,
                "fps": clip.fps,
                "subject": clip.subject,
                "name": clip.name,
                "text": clip.text,
                "dataset": source.dataset,
                "licence": source.licence,
            }
            self._on_clip()


def licence_lines(sources: Sequence[Source]) -> list[str]:
    """One line for every data set: its name, its licence and the acknowledgement it asks for."""
    lines = (f"{s.dataset}: {s.licence or 'the source states no licence'}" for s in sources)
    return list(dict.fromkeys(lines))
