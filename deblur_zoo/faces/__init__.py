"""Face detection, the canonical alignment with its inverse, and pasting back.
``python -m deblur_zoo.faces`` aligns a folder of photos into crops.
"""
