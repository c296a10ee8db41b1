"""Recordings as joint angles (BVH, ASF with AMC), turned into positions of joints."""
