"""What all tests share."""

import os
import tempfile

# Programs that one test has compiled serve the others, and those of child processes; nothing is
# written to the user's own cache.
_CACHE = tempfile.TemporaryDirectory(prefix="posegan-tests-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _CACHE.name)
