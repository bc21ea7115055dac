"""Starts, kills and restarts the server binary that THALWEG_BIN names."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

import httpx


class Server:
    def __init__(self) -> None:
        self.data_dir = tempfile.mkdtemp(prefix="thalweg-py-")
        self.log = tempfile.TemporaryFile(mode="w+")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.run()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/v1/stream/{path}"

    def run(self) -> None:
        """Starts the process on the same port and data directory, and waits until it answers."""
        flags = ["--listen", f"127.0.0.1:{self.port}", "--data-dir", self.data_dir]
        command = [os.environ["THALWEG_BIN"], "serve", *flags]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        for _ in range(300):
            if self.process.poll() is not None:
                self.log.seek(0)
                raise RuntimeError(f"the server ended:\n{self.log.read()}")
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code < 500:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the server does not answer")

    def kill(self) -> None:
        """As a power cut would end it: nothing is flushed, no connection is closed in order."""
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        self.kill()
        self.log.close()
        shutil.rmtree(self.data_dir, ignore_errors=True)
