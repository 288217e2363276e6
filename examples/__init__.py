"""Runnable examples and the photo that they work on; not part of the installed package.
``python -m examples.demo`` deblurs the example photo, ``python -m examples.make_example`` makes it anew.
"""
