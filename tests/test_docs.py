"""The pages are true: every name documented, every link whole, every command and example run."""

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

import cellbank
from cellbank import api, images
from cellbank.cli.group import make_root
from cellbank.model.errors import error_classes
from tests.pages import URL, Reader, blocks

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for place in (ROOT, DOCS, ROOT / "decisions", ROOT / "bench", ROOT / "demo", ROOT / "notebooks")
    for page in (place.rglob("*.md") if place != ROOT else place.glob("*.md"))
    if "out" not in page.relative_to(ROOT).parts
)
RUN = [page for page in PAGES if blocks(page.read_text())]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def section(text: str, title: str) -> str:
    found = re.search(rf"^### {title}\n(.*?)(?=^##)", f"{text}\n##", re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


# --- every name


@pytest.mark.parametrize(("path", "command"), list(commands(make_root())), ids=str)
def test_every_command_stands_in_the_reference_with_its_options(
    path: str, command: click.Command
) -> None:
    text = (DOCS / "reference" / "cli.md").read_text()
    for_all = text[: text.index("## Make packages")]
    found = section(text, path.partition(" ")[0])
    assert f"cellbank {path}" in found
    options = [o for p in command.params if isinstance(p, click.Option) for o in _names(p)]
    missing = [o for o in options if f"`{o}`" not in found and f"`{o}`" not in for_all]
    assert [] == missing


def _names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def test_the_reference_names_no_command_or_option_that_is_not_there() -> None:
    text = (DOCS / "reference" / "cli.md").read_text()
    there = dict(commands(make_root()))
    shown = re.findall(r"^cellbank ([a-z]+(?: (?:add|list|remove|default))?)\b", text, re.MULTILINE)
    assert set(there) == set(shown)
    params = [p for command in [make_root(), *there.values()] for p in command.params]
    known = {o for p in params if isinstance(p, click.Option) for o in _names(p)}
    options = set(re.findall(r"^\| .*?$", text, re.MULTILINE))
    named = {o for row in options for o in re.findall(r"`(-[-a-z]+)`", row.split(" | ")[0])}
    assert set() == named - known - {"-h", "--help"}


def test_the_pages_show_the_address_that_serve_takes() -> None:
    serve = dict(commands(make_root()))["serve"]
    default = {p.name: p.default for p in serve.params}
    assert URL == f"http://{default['host']}:{default['port']}"


def test_every_variable_of_the_environment_stands_in_the_reference() -> None:
    source = "".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
    used = set(re.findall(r"\bCELLBANK_[A-Z]+\b", source))
    page = (DOCS / "reference" / "environment.md").read_text()
    assert used == set(re.findall(r"^\| `(CELLBANK_[A-Z]+)`", page, re.MULTILINE))


def _row(name: str) -> str:
    text = (DOCS / "reference" / "python.md").read_text()
    rows = re.findall(rf"^.*[`*.]{re.escape(name)}[`(*].*$", text, re.MULTILINE)
    assert rows, f"{name} is not in docs/reference/python.md"
    return next((row for row in rows if row.startswith(f"| `{name}")), rows[0])


@pytest.mark.parametrize("name", sorted({*cellbank.__all__, *api.__all__}))
def test_every_public_name_stands_in_the_reference(name: str) -> None:
    row = _row(name)
    thing = getattr(api, name, None)
    if inspect.isfunction(thing):
        shown = re.search(rf"`{name}\((.*?)\)`", row)
        assert shown, row
        parameters = inspect.signature(thing).parameters.values()
        wanted = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        plain = str(inspect.Signature(wanted)).replace("'", '"')
        assert plain == f"({shown[1]})"
    elif isinstance(thing, type) and issubclass(thing, msgspec.Struct):
        fields = [field.name for field in msgspec.structs.fields(thing)]
        assert [] == [field for field in fields if not re.search(rf"\b{field}\b", row)]


@pytest.mark.parametrize("name", images.__all__)
def test_every_name_of_the_images_stands_in_their_reference(name: str) -> None:
    text = (DOCS / "reference" / "images.md").read_text()
    row = re.search(rf"^\| `{name}[`(].*", text, re.MULTILINE) or re.search(rf"`{name}`.*", text)
    assert row, name
    thing = getattr(images, name)
    shown = re.search(rf"`{name}\((.*?)\)`", row[0])
    if inspect.isfunction(thing) and "…" not in row[0]:
        assert shown, row[0]
        assert [*inspect.signature(thing).parameters] == _parameters(shown[1])


@pytest.mark.parametrize("name", [n for n in dir(images.Image) if not n.startswith("_")])
def test_every_attribute_of_an_image_stands_in_the_reference(name: str) -> None:
    text = (DOCS / "reference" / "images.md").read_text()
    thing = inspect.getattr_static(images.Image, name)
    if isinstance(thing, property):
        assert f"`image.{name}`" in text
        return
    shown = re.search(rf"`image\.{name}\((.*?)\)`", text)
    assert shown, name
    assert [*inspect.signature(thing).parameters][1:] == _parameters(shown[1])


def _parameters(shown: str) -> list[str]:
    """Return the names of the parameters in a signature as a page shows it."""
    words = (part.partition("=")[0].strip().lstrip("*") for part in shown.split(","))
    return [word for word in words if word]


@pytest.mark.parametrize("kind", [api.GroupNode, api.PackageNode, api.DataNode])
def test_every_attribute_of_a_node_stands_in_the_reference(kind: type) -> None:
    text = (DOCS / "reference" / "python.md").read_text()
    helpers = {"_keys", "_group_keys", "_data_keys", "_items"}
    wanted = [n for n in vars(kind) if n in helpers or not n.startswith("_")]
    assert [] == [name for name in wanted if f"`node.{name}" not in text]


@pytest.mark.parametrize("name", sorted(error_classes()))
def test_every_error_stands_in_the_reference_with_its_codes(name: str) -> None:
    error = error_classes()[name]
    if error.__module__ == "cellbank.model.errors":
        assert f"| `{name}` | {error.exit_code} | {error.http_status} |" in _row(name)
    else:
        _row(f"{error.__module__}.{name}".rpartition(".")[2])


# --- every page


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", title.lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert [] == broken


def test_every_page_is_in_an_index() -> None:
    for folder in (DOCS, ROOT / "decisions"):
        index = folder / "README.md"
        linked = {
            (folder / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())
        }
        assert set() == {page for page in folder.rglob("*.md") if page != index} - linked


def test_the_pages_that_must_stay_short_are_short() -> None:
    limits = {ROOT / "ARCHITECTURE.md": 120}
    limits |= dict.fromkeys((ROOT / "decisions").glob("*.md"), 60)
    lengths = {page.name: len(page.read_text().splitlines()) for page in limits}
    assert {} == {page.name: n for page in limits if (n := lengths[page.name]) > limits[page]}


@pytest.mark.parametrize("page", RUN, ids=named)
def test_a_reader_sees_all_that_is_typed_but_the_variables_of_their_terminal(page: Path) -> None:
    hidden = re.findall(
        r"^<!-- (?:console|pycon)\n(.*?)^-->", page.read_text(), re.MULTILINE | re.DOTALL
    )
    lines = [line for block in hidden for line in block.splitlines()]
    assert [] == [line for line in lines if not re.match(r">>> (import os$|os\.environ\[)", line)]


# `json.load(open(node()))` is how people write, and how the pages do.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("page", RUN, ids=named)
def test_what_a_page_shows_is_what_comes_out(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith(("CELLBANK_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in reader.environment.items():
        monkeypatch.setenv(name, value)
    try:
        for kind, block in blocks(page.read_text()):
            reader.read(kind, block)
    finally:
        reader.close()


def test_a_page_that_shows_something_else_is_found_out(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    wrong: list[tuple[str, Any]] = [("console", "$ echo one\ntwo\n"), ("pycon", ">>> 1\n2\n")]
    try:
        for kind, block in wrong:
            with pytest.raises(AssertionError):
                reader.read(kind, block)
    finally:
        reader.close()
