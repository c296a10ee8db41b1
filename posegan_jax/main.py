"""Training and evaluation: ``python -m posegan_jax.main --config=configs/mpi.py``.

Intentionally kept short. Any field can be overridden: ``--config.train.batch_size=64``.
"""

import logging
import sys

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from posegan_jax import config as config_lib
from posegan_jax.errors import InputError, out_of_memory
from posegan_jax.runtime import compilation_cache, cpus


class _File(flags.ArgumentParser):
    """Tells in one line what is wrong with a file, as ml_collections's own parser does not."""

    def parse(self, argument: str) -> ConfigDict:
        return config_lib.load(argument).lock()


CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.")
flags.FLAGS["config"].parser = _File()
MULTI_HOST = flags.DEFINE_bool(
    "multi_host", False,
    "Train with the other hosts that run this command. TPU slices, SLURM and Kubernetes tell which "
    "these are; elsewhere --coordinator, --processes and --process do.",
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
PROCESSES = flags.DEFINE_integer("processes", None, "How many there are.", lower_bound=1)
PROCESS = flags.DEFINE_integer("process", None, "Which one this is, from 0.", lower_bound=0)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        sys.exit(_fail(f"unexpected argument {argv[1]!r}; see --help", 2))
    compilation_cache.enable()
    # jax tells on INFO which accelerators it did not find.
    logging.getLogger("jax").setLevel(logging.WARNING)
    import jax  # after flags are parsed, and before any device is touched

    hosts = (COORDINATOR.value, PROCESSES.value, PROCESS.value)
    if MULTI_HOST.value or any(given is not None for given in hosts):
        try:
            jax.distributed.initialize(*hosts)
        except ValueError as error:
            sys.exit(_fail(f"--multi_host: {_one_line(error)}; see --help", 2))
    else:
        cpus.one_device_each(CONFIG.value.train.batch_size)

    from posegan_jax.training.loop import Interrupted, train

    logging.getLogger("posegan_jax").setLevel(logging.INFO)
    config = CONFIG.value
    try:
        config_lib.check(config)
        if config.mode == "evaluate":
            # It loads statistics and filters, which take training a second.
            from posegan_jax.evaluation.evaluate import evaluate

            evaluate(config)
        else:
            train(config)
    except InputError as error:
        sys.exit(_fail(str(error), 2))
    except Interrupted as error:
        sys.exit(_fail(str(error), error.code))
    except Exception as error:
        if line := out_of_memory(error):
            sys.exit(_fail(f"{line}, or a smaller train.batch_size; checkpoints are whole", 1))
        raise


def _fail(message: str, code: int) -> int:
    print(f"posegan_jax: {message}", file=sys.stderr)
    return code


def run(argv: list[str] | None = None) -> None:
    """Entry point; ``argv`` as in ``sys.argv``. Wrong flags end in one line and exit code 2."""
    flags.mark_flag_as_required("config")
    app.run(main, argv=argv, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except (AttributeError, KeyError) as error:
        sys.exit(_fail(f"--config has no such field: {_one_line(error)}", 2))
    except (flags.Error, TypeError, ValueError) as error:
        sys.exit(_fail(_one_line(error), 2))


def _one_line(error: Exception) -> str:
    while error.args and isinstance(error.args[0], Exception):
        error = error.args[0]  # ml_collections wraps one error in another
    return " ".join(str(error.args[0] if error.args else error).split())


if __name__ == "__main__":
    run()
