"""Motion capture clips: the source files, and the TFDS builder that writes them."""
