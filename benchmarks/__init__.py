"""Commands that measure speed, scale and balance, and print the numbers quoted in the documents.

The library does not import this package.
"""
