"""Joints that people marked by hand in real video, to test with, from data sets as published."""
