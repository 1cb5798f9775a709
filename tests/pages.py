"""Runs a page: its `console` blocks in one shell, its `pycon` blocks in one Python, in order.

A block in a comment, `<!-- console … -->`, runs unseen. A block that names a file beside its
language, such as `csv lab/wells.csv`, is written to that file. In the output that a page shows,
`…` stands for anything; digests, sizes, times and the home folder are compared as such, not by
value. Lines of progress, which a slow machine adds every few seconds, are left out.
"""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

_BLOCK = re.compile(
    r"(?:^```|^<!-- )(console|pycon|(?:csv|yaml) \S+)\n(.*?)(?:^```|^-->)$",
    re.MULTILINE | re.DOTALL,
)
_COMMAND = re.compile(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_VALUE = re.compile(r"\b[0-9a-f]{12,64}\b|\bcbk_[\w-]+")
"""A digest or a token: typed later as it came out here."""
_ALIKE = [
    (_VALUE, "VALUE"),
    (re.compile(r"\b20\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\dZ)?)?|\b20\d\d\b"), "TIME"),
    (re.compile(r"\b[\d.]+ (?:[kMGT]B|bytes)\b|\b\d{6,}\b"), "SIZE"),
    (re.compile(r"[ \t]+"), " "),
]
_PROGRESS = re.compile(r"^[A-Z][a-z ]+: \d+%, .* of .*/s(?:, .* left)?\n", re.MULTILINE)
URL = "http://127.0.0.1:8080"
HOME = "/home/ada"


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the runnable blocks of a page: kind and content."""
    return _BLOCK.findall(page)


class Reader:
    """Someone who types what a page says, in a home folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {"HOME": str(home), "PATH": path, "USER": "ada", "LOGNAME": "ada"}
        self.environment |= {"LANG": "C.UTF-8", "TERM": "dumb", "TZ": "UTC"}
        self._url = URL
        self._values: dict[str, str] = {}
        self._python: dict[str, Any] = {}
        self._servers: list[subprocess.Popen[str]] = []
        self._shell = self._start(["bash", "--norc", "--noprofile"])

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            command, cwd=self.home, env=self.environment, stderr=subprocess.STDOUT, **pipes
        )

    def close(self) -> None:
        """Stop the shell and the servers."""
        for process in [*self._servers, self._shell]:
            process.terminate()
            process.communicate()

    def read(self, kind: str, block: str) -> None:
        """Do what a block says; fail where something else comes out than it shows."""
        if kind == "pycon":
            self._run_python(block)
            return
        if " " in kind:
            file = self.home / kind.partition(" ")[2]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)
            return
        for command, expected in _COMMAND.findall(block):
            text = self._typed(command.replace("\n> ", "\n"))
            found = self._serve(text, expected) if "cellbank serve" in text else self._run(text)
            shown = _PROGRESS.sub("", found).replace(self._url, URL).replace(str(self.home), HOME)
            assert _matches(expected, shown), f"$ {command}\n{shown}"
            pairs = zip(_VALUE.findall(expected), _VALUE.findall(found), strict=False)
            self._values |= dict(pairs)

    def _typed(self, text: str) -> str:
        text = text.replace(URL, self._url).replace(HOME, str(self.home))
        return _VALUE.sub(lambda value: self._values.get(value[0], value[0]), text)

    def _run(self, command: str) -> str:
        send, receive = _pipes(self._shell)
        send.write(f"{command}\n__code=$?; printf '\\n@@done\\n'; (exit $__code)\n")
        send.flush()
        lines = list(iter(receive.readline, "@@done\n"))
        return "".join(lines)[:-1]

    def _serve(self, command: str, expected: str) -> str:
        server = self._start(["bash", "-c", f"exec {command} --port 0"])
        self._servers.append(server)
        found = "".join(_pipes(server)[1].readline() for _ in expected.splitlines())
        self._url = re.findall(r"http://\S+", found)[0]
        return found

    def _run_python(self, block: str) -> None:
        text = self._typed(block)
        test = doctest.DocTestParser().get_doctest(text, self._python, "page", None, 0)
        runner = doctest.DocTestRunner(_Alike())
        shown: list[str] = []
        runner.run(test, out=shown.append, clear_globs=False)
        self._python |= test.globs
        assert not shown, "".join(shown)


class _Alike(doctest.OutputChecker):
    def check_output(self, want: str, got: str, _flags: int) -> bool:
        # Newer Pythons add a guess of their own to what an attribute error says.
        return _matches(want, re.sub(r"\. Did you mean: '\w+'\?$", "", got, flags=re.MULTILINE))


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _matches(expected: str, found: str) -> bool:
    for pattern, word in _ALIKE:
        expected, found = pattern.sub(word, expected), pattern.sub(word, found)
    wanted = re.escape(expected.rstrip()).replace("…", ".*")
    return re.fullmatch(wanted, found.rstrip(), re.DOTALL) is not None
