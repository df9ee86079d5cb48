"""What the book adds to executed notebooks when it is rendered: pages that are made from data, and what dresses a page.

Everything here is a function of the executed notebooks, the library's source and the files of `results/` and `book/`;
two builds from the same are the same bytes. `book/maebook/sphinx/reader.py` hangs it into Sphinx.
"""
