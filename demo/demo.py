"""cellbank at work on real cells: build, serve, push, install, import, change, install again.

`make demo`, or `python demo/demo.py [--output FOLDER]`. All that it writes is in that folder, and
the registry that it starts ends with it.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import tifffile
from lab import SOURCE, VOXEL, make_folder, write_json
from picture import save_projection

PACKAGE = "demo/nuclei"
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
        return {**kept, "CELLBANK_HOME": str(self.folder / home)}

    def run(self, home: str, *words: str, hide: str = "") -> str:
        """Run a cellbank command as a user types it; return what it printed on stdout."""
        self._enter(home)
        shown = shlex.join(words)
        self.say(f"$ cellbank {shown.replace(hide, '…') if hide else shown}")
        return self._watch([COMMAND, *words], home)

    def python(self, home: str, *lines: str) -> str:
        """Run lines in a fresh Python."""
        self._enter(home)
        self.say("$ python")
        return self._watch([sys.executable, "-c", CONSOLE, *lines], home)

    def _enter(self, home: str) -> None:
        if home != self._home:
            self._home = home
            self.say(f"$ export CELLBANK_HOME={_shown(self.folder / home)}")

    def _watch(self, command: list[str | Path], home: str) -> str:
        start = time.perf_counter()
        done = subprocess.run(
            command,
            env=self.environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        lines = (done.stderr + done.stdout).replace(f"{self.folder}", _shown(self.folder))
        for number, line in enumerate(lines.splitlines()):
            if number < SHOWN_LINES:
                self.say(f"  {line}")
        if done.returncode:
            raise DemoFailed(f"the last command ended with exit code {done.returncode}")
        self.say(f"  ({seconds:.2f} s)")
        return done.stdout

    def seconds(self) -> float:
        """Return how long the story has lasted."""
        return time.perf_counter() - self._start


def _shown(path: Path) -> str:
    """Return a path as a user would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


@contextlib.contextmanager
def registry(story: Story) -> Iterator[tuple[str, str]]:
    """Serve a folder on a free port; give its URL and its admin's token. It ends with the block."""
    words = ["serve", str(story.folder / "registry"), "--port", "0"]
    story.say(f"$ cellbank serve {_shown(story.folder / 'registry')} --port 0 &")
    log = (story.folder / "registry.log").open("wb")
    process = subprocess.Popen(
        [COMMAND, *words],
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
        yield url, token
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


def correct_one(folder: Path) -> str:
    """Write into the document of the brightest nucleus that it is that; return its path."""
    documents = sorted(folder.glob("nuclei/*/info.json"))
    read = {file: json.loads(file.read_text(encoding="utf-8")) for file in documents}
    brightest = max(documents, key=lambda file: read[file]["mean_intensity"])
    note = f"the brightest of the {len(documents)} nuclei"
    write_json(brightest, {**read[brightest], "note": note})
    return str(brightest.relative_to(folder))


def revision_of(story: Story, home: str) -> str:
    """Return the revision in a store."""
    out = subprocess.run(
        [COMMAND, "inspect", PACKAGE, "--json"],
        env=story.environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(out.stdout)["revision"]


def tell(story: Story) -> None:
    """Tell the whole story."""
    nuclei = story.folder / "nuclei"
    story.step("A lab has a folder of images, tables and documents.")
    files = make_folder(nuclei)
    total = sum(file.stat().st_size for file in files)
    story.say(f"{_shown(nuclei)}: {len(files)} files, {total / 1e6:.1f} MB, made from the real")
    story.say(f"Allen Institute nuclei in {SOURCE}.")

    story.step("The lab builds a package of it in its own store.")
    story.run("lab", "build", PACKAGE, _shown(nuclei), "--message", "Nuclei, labels, measurements")

    story.step("A registry starts, and the lab pushes the package to it.")
    with registry(story) as (url, token):
        story.run("lab", "login", url, "--token", token, hide=token)
        story.run("lab", "push", PACKAGE)

        story.step("Someone else, whose store is empty, installs it over HTTP.")
        story.run("user", "install", PACKAGE, "--from", url)
        story.run("user", "tree", PACKAGE, "--depth", "2")

        story.step("They use it in Python by its name.")
        use_it(story)

        story.step("The lab changes one document of the package and pushes again.")
        before = revision_of(story, "user")
        story.say(f"(edits {_shown(nuclei / correct_one(nuclei))})")
        story.run("lab", "build", PACKAGE, _shown(nuclei), "--message", "The brightest nucleus")
        story.run("lab", "push", PACKAGE)

        story.step("The other one installs again: only that document moves.")
        story.run("user", "install", PACKAGE, "--yes")
        story.run("user", "diff", f"{PACKAGE}@{before[:12]}", PACKAGE)
        story.run("user", "verify", PACKAGE)

    story.step("A picture of the image that was installed: its maximum over Z.")
    path = story.run("user", "path", f"{PACKAGE}/images/nuclei.ome.tif").strip()
    picture = story.folder / "nuclei_max_projection.png"
    width, height = save_projection(tifffile.imread(path), VOXEL[-1], picture)
    story.say(f"{_shown(picture)} ({width} × {height} pixels)")
    print(f"\nDone in {story.seconds():.1f} s. The registry has ended. All files are in", end=" ")
    print(f"{_shown(story.folder)}.")


def use_it(story: Story) -> None:
    """Load the image and the measurements in a fresh Python."""
    story.python(
        "user",
        "import csv, json, tifffile",
        "from cellbank.data.demo import nuclei",
        "nuclei",
        "len(nuclei.nuclei), 'n07' in nuclei.nuclei",
        "nuclei.images.nuclei_ome_tif()",
        "image = tifffile.imread(nuclei.images.nuclei_ome_tif)",
        "image.shape, image.dtype",
        "json.load(nuclei.nuclei.n07.info_json.open())['volume_um3']",
        "rows = list(csv.DictReader(open(nuclei.tables.nuclei_csv)))",
        "max(rows, key=lambda row: float(row['volume_um3']))['label']",
    )


def main() -> int:
    """Tell the story in a folder of its own; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("out"))
    folder = parser.parse_args().output.absolute()
    for name in ("nuclei", "lab", "user", "server", "registry"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    # So that the registry ends with us, whoever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell(Story(folder))
    except DemoFailed as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
