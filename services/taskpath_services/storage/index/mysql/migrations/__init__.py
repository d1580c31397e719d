"""Numbered SQL files; :mod:`taskpath_services.storage.index.mysql.schema` applies them."""
