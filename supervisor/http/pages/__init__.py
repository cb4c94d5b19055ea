"""The pages for browsers and scrapers: metrics, health, status.

May import: what http may.
"""
