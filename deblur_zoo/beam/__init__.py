"""Photos by the million: what `deblur-zoo` does with a photo, on Apache Beam. The command `deblur-zoo-beam`.
pipeline.py lists photos, restores each once and writes the report; docs/photos_at_scale.md is for users.
"""
