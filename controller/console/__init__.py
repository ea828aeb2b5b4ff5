"""The console: the web pages of the operators, the grid operator and the residents.

Each page looks at the controller through the same door as the API, once a second, and sends a browser
only what has changed. What a section shows is a pure function of a view and a language that gives HTML
(`panels`, `network`, ...); the pages are the thin shells that put it on the screen and pass presses on.
Nothing is imported here, so that the API can run without the pages' library.
"""
