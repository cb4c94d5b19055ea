"""The certificates of user Docker.

May import: what dockerd may.
"""
