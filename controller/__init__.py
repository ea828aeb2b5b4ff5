"""The controller: it reads the neighbourhood, plans, keeps every limit, and answers people."""
