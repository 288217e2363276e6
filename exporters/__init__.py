"""Export formats, each verified after writing.
``python -m exporters`` is the one command for all of them.
"""
