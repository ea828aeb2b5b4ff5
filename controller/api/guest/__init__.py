"""The guests' door: a page and an API without a login, for who stands at a socket."""
