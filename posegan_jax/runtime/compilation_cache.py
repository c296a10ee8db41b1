"""Compiled programs are kept between processes, in the user's cache folder.

The commands do so by default; who imports the package decides for himself. JAX's own variables say
otherwise: JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false turns
it off. The folder may be removed at any time.
"""

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from posegan_jax.runtime import cpus

_FOLDER, _SWITCH = "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"
_NO = ("0", "false", "f", "no", "n", "off", "")


def enable() -> Path | None:
    """Lets JAX keep what it compiles; before its import this costs nothing, and children do too.

    Returns:
      The folder, None where the user has said otherwise or none can be written to.
    """
    if _FOLDER in os.environ or os.environ.get(_SWITCH, "true").lower() in _NO:
        return None
    jax = sys.modules.get("jax")
    if jax is not None and jax.config.jax_compilation_cache_dir:
        return None
    try:
        folder = user_cache() / "posegan_jax" / machine()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    if jax is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
    else:
        os.environ[_FOLDER] = str(folder)
        # XLA reports at every load that a program for this very CPU asks for features which it
        # takes for absent (openxla/xla#44565). What goes wrong is raised, not only logged.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return folder


@contextlib.contextmanager
def disabled() -> Iterator[None]:
    """What is compiled meanwhile is compiled in truth, and not kept."""
    import jax

    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    reset()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        reset()


def reset() -> None:
    """Lets changed settings take effect: JAX asks for them only once."""
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()


def user_cache() -> Path:
    """Where this system's programs keep what they can make again, for this user.

    Raises:
      RuntimeError: the user has no home.
    """
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".cache"


def machine() -> str:
    """A name for the kind of CPU and how many there are.

    Machines that share a home do not share machine code, and XLA fixes how work is split over
    threads when it compiles.
    """
    features = ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").splitlines():
            if line.lower().startswith(("flags", "features")):
                features = line
                break
    except OSError:  # not Linux
        pass
    digest = hashlib.sha256(f"{platform.processor()} {features}".encode()).hexdigest()
    return f"{platform.machine()}-{digest[:8]}-{cpus.usable()}"
