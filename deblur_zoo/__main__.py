"""``python -m deblur_zoo`` is the command ``deblur-zoo``."""

from deblur_zoo.restoration.__main__ import main

if __name__ == "__main__":
    main()
