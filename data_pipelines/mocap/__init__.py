"""Motion capture clips of 28 joints: the source files, and the TFDS builder that writes them."""
