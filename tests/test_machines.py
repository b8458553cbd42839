"""Training shared by several processes: what notebook 09 does not show."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

import utils

if sys.platform == "win32":
    pytest.skip("JAX connects no processes on Windows", allow_module_level=True)
pytestmark = pytest.mark.slow

FOLDER = utils.ASSETS.parent / "notebooks"
FAILS = """
import jax
import several_machines

def fail(*arguments):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

several_machines.train = fail
several_machines.main()
"""


@pytest.fixture
def run(tmp_path):
    """A function that runs the script, or other code, to its end, and returns its status and what it printed."""

    def run(*options, code=(FOLDER / "several_machines.py",)):
        command = [sys.executable, *code, "--backup", tmp_path / "backup", *options]
        environment = os.environ | {"PYTHONPATH": str(FOLDER)}
        result = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
        return result.returncode, result.stdout + result.stderr

    return run


@pytest.fixture
def start(tmp_path):
    """A function that launches two processes and waits for their first backup; none of them outlives the test."""
    started = []

    def start(*options):
        command = [sys.executable, FOLDER / "several_machines.py", "--launch", "2", "--backup", tmp_path / "backup"]
        command += ["--epochs", "1000", "--images", "2000", *options]
        with open(tmp_path / "log", "w") as log:
            launcher = psutil.Popen(command, stdout=log, stderr=log)
        started.append(launcher)
        while not (tmp_path / "backup").exists() and launcher.poll() is None:
            time.sleep(0.01)
        started.extend(launcher.children())
        return started

    yield start
    for process in started:
        if process.is_running():
            process.kill()


def test_when_one_dies_the_others_stop_and_say_why(start, tmp_path):
    """A job that has failed would look like one that has succeeded, or leave processes behind that eat a processor."""
    launcher, first, second = start()
    first.kill()
    assert launcher.wait(timeout=60) == 1
    assert psutil.wait_procs([second], timeout=10)[1] == []
    assert "another" in (tmp_path / "log").read_text()


def test_a_silent_process_counts_as_dead(start, tmp_path):
    """A cluster would wait, and be paid for, until somebody looks."""
    _, first, second = start("--timeout", "10")
    second.suspend()
    assert psutil.wait_procs([first], timeout=60)[1] == []
    assert "another" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_a_launcher_that_is_stopped_leaves_no_process_behind(start, how):
    """After Ctrl-C, or a kernel that was shut down, two processes would go on training with nobody to see them."""
    launcher, *processes = start()
    launcher.send_signal(how)
    assert launcher.wait(timeout=10) != 0
    assert psutil.wait_procs(processes, timeout=30)[1] == []


def test_launched_processes_agree(run):
    """A reader would have to guess which of two losses is right, or read each line of the training twice."""
    status, printed = run("--launch", "2", "--epochs", "1", "--images", "2000")
    assert status == 0
    losses = dict(re.findall(r"^process (\d) of 2: loss (\d+\.\d+)$", printed, re.MULTILINE))
    assert losses.keys() == {"0", "1"}
    assert losses["0"] == losses["1"]
    assert printed.count("8/8 - ") == 1


def test_other_settings_are_refused(run):
    """A training would go on along another schedule of the learning rate, or with other images, without a word."""
    assert run("--epochs", "2", "--images", "500")[0] == 0
    for options, change in {("6", "500"): "2 epochs, not 6", ("2", "1000"): "500 images, not 1000"}.items():
        status, printed = run("--epochs", options[0], "--images", options[1])
        assert status == 1
        assert f"was begun with {change}: repeat its settings" in printed


def test_an_error_of_a_single_process_is_its_own(run):
    """A reader whose model does not fit into memory would look for a second machine, which does not exist."""
    status, printed = run("--images", "250", code=("-c", FAILS))
    assert status == 1
    assert "RESOURCE_EXHAUSTED: out of memory" in printed
    assert "another" not in printed


def test_batches_that_cannot_be_shared_are_refused(run):
    """Some machine would get fewer images, and each of them would weigh more."""
    status, printed = run("--launch", "2", "--images", "2001")
    assert status == 1
    assert printed == "2 processes cannot share 2001 images in batches of 250 evenly\n"
