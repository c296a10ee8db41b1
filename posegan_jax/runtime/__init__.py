"""What a program needs of the machine: files, cores, devices, caches, progress."""
