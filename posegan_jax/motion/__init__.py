"""Motion capture on the device and the sampling of training windows from it."""
