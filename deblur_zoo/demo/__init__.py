"""A page in the browser for those who do not type: drop a photo, compare, download. The command `deblur-zoo-demo`.
answer.py restores an uploaded file, page.py shows it with Gradio; docs/demo.md is for users.
"""
