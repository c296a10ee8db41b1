"""What tests of the evaluation share."""

import pytest

from posegan_jax.inpainting.inpainter import Inpainter


@pytest.fixture(scope="session")
def inpainter():
    return Inpainter.from_pretrained()
