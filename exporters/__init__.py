"""Written formats of a preset; each exporter runs what it wrote before it says so.
``python -m exporters`` is the one command for all of them.
"""
