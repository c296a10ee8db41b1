"""What measures the package: accuracy."""
