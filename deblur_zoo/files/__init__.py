"""Picture files to arrays and back, atomic writing, archives, downloads, checksums.
``command_line_tools.py`` is shared by all commands. Nothing here depends on faces or networks.
"""
