"""The API: four doors (operator, grid operator, resident, fleet) to the running controller, over HTTP.

`app.create_app` builds it, `server.WebServer` serves it from a thread of its own. Nothing is imported
here, so that a program that needs no web page does not load the web framework.
"""
