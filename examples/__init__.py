"""Runnable examples and their photo; not part of the installed package.

``python -m examples.demo`` deblurs the example photo, ``python -m examples.make_example`` recreates it.
"""
