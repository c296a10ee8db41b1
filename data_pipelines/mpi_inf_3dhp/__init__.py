"""MPI-INF-3DHP (Mehta et al., 3DV 2017) from its official files: 3D to train, 2D to test."""
