"""The thesis's training: MPI-INF-3DHP, all three networks from the first step.

Command:  python -m posegan_jax.main --config=configs/mpi.py
Data:     MPI-INF-3DHP prepared at ``data.path`` (research licence; weights are not redistributed):
          actors 2 to 8 train, actor 1 validates; data_pipelines/README.md says how.
Cost:     50 million iterations of 256 windows; meant for a GPU or TPU.
Expected: the thesis reports PCKh@0.5 .762 (12 joints) and .733 (28 joints) on AlphaPose input.
          Its evaluation: --config.mode=evaluate --config.evaluate.detections=FOLDER, with a file
          of AlphaPose for every sequence and camera.
"""

from ml_collections import ConfigDict

from posegan_jax.config import default_config


def get_config() -> ConfigDict:
    config = default_config()
    config.name = "mpi"
    config.data.path = "data/mpi_inf_3dhp"
    config.data.prepare = (
        "python -m data_pipelines.prepare --source mpi_inf_3dhp:FOLDER --out data/mpi_inf_3dhp"
    )
    config.data.window_stride = 12
    # Tables 2 and 3: the whole test set, the input itself, and shifts of 1 and 24 frames.
    config.evaluate.methods = "input,s1,s24,thesis-s1,thesis-s24,savitzky-golay,ridge-windows"
    config.evaluate.count = config.evaluate.longest = 0
    return config
