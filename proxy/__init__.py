"""The data plane: raw ASGI workers that route, mirror and measure prediction traffic."""

__version__ = "0.1.0"
