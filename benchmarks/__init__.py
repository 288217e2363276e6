"""Speed, scale and balance measurements, each a command that prints what the documents quote.
Nothing in the library imports from here.
"""
