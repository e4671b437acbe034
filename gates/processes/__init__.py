"""Processes and their sockets: started, kept alive, and stopped in order."""
