"""Training shared by several processes: what notebook 08 does not show."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import utils

if sys.platform == "win32":
    pytest.skip("Windows has no signal that stops a process", allow_module_level=True)
pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path):
    """A function that starts two processes and waits for their first backup; none of them outlives the test."""
    processes = []

    def start(*options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [sys.executable, utils.ASSETS.parent / "several_machines.py", "--address", address, "--count", "2"]
        command += ["--backup", tmp_path / "backup", "--images", "2000", *options]
        for index in "01":
            with open(tmp_path / index, "w") as log:
                streams = {"stdout": log, "stderr": log, "env": os.environ | {"JAX_PLATFORMS": "cpu"}}
                processes.append(subprocess.Popen([*command, "--index", index], **streams))
        while not (tmp_path / "backup").exists() and processes[0].poll() is None:
            time.sleep(0.01)
        return processes

    yield start
    for process in processes:
        process.kill()


@pytest.mark.parametrize(("index", "accident"), [(0, signal.SIGKILL), (1, signal.SIGSTOP)], ids=["first", "silent"])
def test_whoever_is_gone_the_other_stops_and_says_why(start, tmp_path, index, accident):
    """A cluster would wait, and be paid for, until somebody looks."""
    processes = start("--epochs", "1000", "--timeout", "10")
    processes[index].send_signal(accident)
    assert processes[1 - index].wait(timeout=60) != 0
    assert "another" in (tmp_path / str(1 - index)).read_text()


def test_batches_that_cannot_be_shared_are_refused(start, tmp_path):
    """Some machine would get fewer images, and each of them would weigh more."""
    assert start("--images", "2001")[0].wait(timeout=60) == 1
    assert "2001 images in batches of 250: 2 processes cannot share them" in (tmp_path / "0").read_text()
