"""A web app that restores faces in the browser; `make web` builds it into a static folder.

``build.py`` puts it together from ``app/``, LiteRT.js and an exported network.
"""
