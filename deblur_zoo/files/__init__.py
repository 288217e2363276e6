"""Picture files to arrays and back, files written whole, archives, downloads, checksums.
``command_line_tools.py`` is what every command line shares. Nothing here knows of faces or networks.
"""
