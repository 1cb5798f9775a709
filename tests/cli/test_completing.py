"""Tests of shell completion."""

import pytest


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef cellbank"), ("fish", "complete")]
)
def test_the_script_of_each_shell_is_printed_and_its_place_told(cellbank, shell, sign):
    result = cellbank("completion", shell).ok()
    assert sign in result.out
    assert "_CELLBANK_COMPLETE" in result.out
    assert "To install" in result.err
    if shell != "fish":
        # A shell that begins says nothing.
        assert f"cellbank completion {shell} -q)" in result.err
        quiet = cellbank("completion", shell, "-q").ok()
        assert (result.out, "") == (quiet.out, quiet.err)


def test_the_shell_is_found_out(cellbank, monkeypatch):
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    assert "#compdef cellbank" in cellbank("completion").ok().out
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert "bash, zsh, fish" in cellbank("completion").failed(2).err


def _complete(process, words):
    env = {
        "_CELLBANK_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    return [line.partition(",")[2] for line in process(env=env).ok().out.split()]


def test_names_of_packages_complete_from_the_store(process, built):
    assert ["demo/nuclei"] == _complete(process, "cellbank install de")
    assert [] == _complete(process, "cellbank rm other/")


def test_paths_in_a_package_complete_too(process, built):
    assert ["demo/nuclei/fovs/"] == _complete(process, "cellbank cat demo/nuclei/f")
    assert ["demo/nuclei/fovs/a.json", "demo/nuclei/fovs/a.tif"] == _complete(
        process, "cellbank cat demo/nuclei/fovs/a"
    )


def test_commands_and_remotes_complete(process, cellbank, remote):
    cellbank("remote", "add", "lab", remote).ok()
    assert {"init", "install", "inspect"} == set(_complete(process, "cellbank in"))
    assert ["lab"] == _complete(process, "cellbank push a/b --to l")


def test_a_store_that_cannot_be_read_completes_to_nothing(process):
    env = {
        "_CELLBANK_COMPLETE": "bash_complete",
        "COMP_WORDS": "cellbank rm d",
        "COMP_CWORD": "2",
        "CELLBANK_HOME": "/dev/null/x",
    }
    result = process(env=env).ok()
    assert ("", "") == (result.out.strip(), result.err)
