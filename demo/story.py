"""How the demonstration is told: steps, commands as a user types them, and what they print."""

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

COMMAND = Path(sys.executable).with_name("cellbank")
START_SECONDS = 30
STOP_SECONDS = 10
SHOWN_LINES = 34
# Runs lines as the interactive Python does, but ends at the first error.
CONSOLE = """
import sys
names = {}
for line in sys.argv[1:]:
    print(">>>", line)
    exec(compile(line, "<demo>", "single"), names)
"""


class DemoFailed(Exception):
    """A command did not do what it should; its last lines say why."""


class Story:
    """Says what is done, does it, and shows what came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._steps = 0
        self._home = ""
        self._start = time.perf_counter()

    def step(self, text: str) -> None:
        """Begin a step."""
        self._steps += 1
        print(f"\n{self._steps}. {text}", flush=True)

    def say(self, text: str) -> None:
        """Show a line."""
        print(f"   {text}", flush=True)

    def environment(self, home: str) -> dict[str, str]:
        """Return the environment of someone whose store is `home`, and nothing else of ours."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CELLBANK_")}
        return {**kept, "CELLBANK_HOME": str(self.folder / home), "MPLBACKEND": "agg"}

    def run(self, home: str, *words: str | Path, hide: str = "") -> str:
        """Run a cellbank command as a user types it; return what it printed."""
        self._enter(home)
        line = shlex.join(shown(word) if isinstance(word, Path) else word for word in words)
        self.say(f"$ cellbank {line.replace(hide, '…') if hide else line}")
        return self._watch([COMMAND, *words], home)

    def ask(self, home: str, *words: str) -> bytes:
        """Return the JSON that a cellbank command answers with; nothing is shown."""
        done = subprocess.run(
            [COMMAND, *words, "--json"],
            env=self.environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(done.stderr.decode())
        return done.stdout

    def python(self, home: str, *lines: str) -> str:
        """Run lines in a fresh Python; return what they printed."""
        self._enter(home)
        self.say("$ python")
        return self._watch([sys.executable, "-c", CONSOLE, *lines], home)

    def script(self, home: str, *words: Path) -> str:
        """Run a Python script; return what it printed."""
        self._enter(home)
        self.say(f"$ python {shlex.join(map(shown, words))}")
        return self._watch([sys.executable, *words], home)

    def _enter(self, home: str) -> None:
        if home != self._home:
            self._home = home
            self.say(f"$ export CELLBANK_HOME={shown(self.folder / home)}")

    def _watch(self, command: list[str | Path], home: str) -> str:
        start = time.perf_counter()
        done = subprocess.run(
            command,
            env=self.environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        for line in done.stdout.replace(f"{self.folder}", shown(self.folder)).splitlines()[
            :SHOWN_LINES
        ]:
            self.say(f"  {line}")
        if done.returncode:
            raise DemoFailed(f"the last command ended with exit code {done.returncode}")
        self.say(f"  ({seconds:.1f} s)")
        return done.stdout

    def seconds(self) -> float:
        """Return how long the story has lasted."""
        return time.perf_counter() - self._start


def shown(path: Path) -> str:
    """Return a path as a user would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


class Registry(msgspec.Struct, frozen=True):
    """A registry that is running."""

    url: str
    token: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> str:
        """The port that it listens on."""
        return self.url.rpartition(":")[2]


@contextlib.contextmanager
def registry(story: Story) -> Iterator[Registry]:
    """Serve a folder on a free port. It ends with the block."""
    folder = story.folder / "registry"
    story.say(f"$ cellbank serve {shown(folder)} --port 0 &")
    log = (story.folder / "registry.log").open("wb")
    process = subprocess.Popen(
        [COMMAND, "serve", folder, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=story.environment("server"),
    )
    # A server that says nothing must not keep us waiting for ever.
    alarm = threading.Timer(START_SECONDS, process.kill)
    alarm.start()
    try:
        said: dict[str, str] = {}
        while len(said) < 2:
            line = process.stdout.readline()
            if not line:
                raise DemoFailed(f"the registry did not start; see {story.folder}/registry.log")
            for words_before in ("Listening on", "Admin token:"):
                if line.startswith(words_before):
                    said[words_before] = line.split()[-1]
        alarm.cancel()
        url, token = said["Listening on"], said["Admin token:"]
        story.say(f"  Listening on {url} (process {process.pid})")
        story.say("  Admin token: … (shown once, and kept by us for the next command)")
        yield Registry(url, token, process)
    finally:
        alarm.cancel()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        log.close()
