"""A run in a folder: recipe, preparation, stages, checkpoints, callbacks, logs and the record of what was done.
``run.py`` goes through the stages and resumes where it stopped.
"""
