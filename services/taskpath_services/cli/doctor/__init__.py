"""`taskpath doctor`: whether it could serve here, with these settings and servers, and what is wrong if not.

It changes nothing: where a server runs, it is asked; where none does, it is seen whether one could.
"""
