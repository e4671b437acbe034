"""nginx's settings that every server here shares, and how it is started."""

from __future__ import annotations

import os
from pathlib import Path

# Room for all connections of a run to wait for being accepted.
LISTEN = "listen 127.0.0.1:{port} backlog=4096;"


def settings(folder: Path, http: str) -> str:
    """A whole configuration: one worker, its files in `folder`, no access log, connections that are kept."""
    return f"""\
{"user root;" if os.geteuid() == 0 else ""}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
events {{
    worker_connections 16384;
}}
http {{
    access_log off;
    log_not_found off;
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
    client_header_buffer_size 4k;
    client_body_buffer_size 2m;
    client_max_body_size 16m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{http}
}}
"""


def command(folder: Path, configuration: str) -> list[str]:
    """The command that serves `configuration`, which is written to `folder`."""
    file = folder / "nginx.conf"
    file.write_text(configuration)
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(file)]
