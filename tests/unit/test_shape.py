"""The shape of the project: who may import whom, and pages that are made from the code."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import core_api.settings
import event_server.settings
from deploy.settings_table import PROCESSES, TARGET, render
from tests.unit.rooms import JAVASCRIPT, ROOMS

# Each worker that had some of these tests would read and parse all modules for itself.
pytestmark = pytest.mark.xdist_group("shape")

ROOT = Path(__file__).parents[2]
SERVERS = ("core_api", "event_server")
CONTRACT = ("client_sdk.contract",)
# A ticket looks the same whoever prints it: Core for Star printers, the agent for all others.
TICKETS = (*CONTRACT, "client_sdk.printer_media")
MAX_MODULES = 14
MAX_IN_A_ROOT = 18
"""Modules beside a package's rooms: each has its line in `rooms.py`."""
LONG = 350
"""Lines of a module from which on docs/architecture.md names it, with a reason."""
LARGE = {"core_api/postgres/migrations/versions"}
"""Migrations are one list, to which each is added."""


@cache
def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_imports_only_the_contract_of_the_sdk_and_never_the_other_server(
    server: str,
) -> None:
    (other,) = set(SERVERS) - {server}
    for path in modules(server):
        for name in imports_of(path):
            assert not name.startswith(other), f"{path} imports {name}"
            if name.startswith("client_sdk"):
                assert name.startswith(of_the_sdk(server, path)), f"{path} imports {name}"


def of_the_sdk(server: str, path: Path) -> tuple[str, ...]:
    """What a module of a server may import of the SDK: its commands are made of a little more."""
    is_command = path.is_relative_to(ROOT / server / "commands")
    if is_command:
        return ("client_sdk.contract", "client_sdk.command_line")
    return TICKETS if server == "core_api" else CONTRACT


def test_what_the_servers_share_imports_neither_of_them() -> None:
    for path in modules("server_common"):
        for name in imports_of(path):
            assert not name.startswith(SERVERS), f"{path} imports {name}"
            if name.startswith("client_sdk"):
                assert name.startswith("client_sdk.contract"), f"{path} imports {name}"


def test_the_sdk_imports_no_server_and_little_else() -> None:
    for path in modules("client_sdk"):
        allowed = {"client_sdk", "httpx", "msgspec", "websockets"}
        if path.parent.name == "mqtt":
            allowed.add("aiomqtt")  # the extra `mqtt`
        if path.parent.name in ("printer", "printer_media"):
            allowed |= {"escpos", "PIL"}  # the extra `printer`
        if path == ROOT / "client_sdk/completion.py":
            allowed |= {"shtab"}  # an extra, and only loaded when it is asked for
        for name in imports_of(path):
            top = name.partition(".")[0]
            assert top in allowed or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_what_declares_commands_imports_none_of_what_runs_them() -> None:
    for package in ROOMS.keys() - {"server_common"}:
        path = ROOT / package / "commands/__init__.py"
        for name in imports_of(path):
            top = name.partition(".")[0]
            is_light = name.startswith(("client_sdk.command_line", "client_sdk.contract"))
            assert is_light or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_no_loop_reckons_its_own_back_off() -> None:
    for package in ROOMS:
        for path in modules(package):
            if path.name != "backoff.py":
                found = re.search(r"min\(\w+ \* 2\b", path.read_text())
                assert not found, f"{path}: server_common/backoff.py has that, with jitter"


def test_the_contract_does_no_io_and_looks_at_no_clock() -> None:
    forbidden = {"asyncio", "socket", "time", "random", "httpx", "os", "threading"}
    for path in modules("client_sdk/contract"):
        assert not imports_of(path) & forbidden, path


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def loaded_by(path: Path) -> set[str]:
    """The modules that a module loads when it is imported, each as it is named there."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if file_of(name) else node.module)
    return found


@cache
def file_of(name: str) -> Path | None:
    """The file of one of our modules; None: it is not ours, or no module."""
    place = ROOT / Path(*name.split("."))
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)


@cache
def named_by(name: str) -> set[str]:
    """Our modules that a module imports anywhere, also inside functions and for types alone."""
    file = file_of(name)
    assert file is not None
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if file_of(one) else node.module for one in inner}
    return {one for one in found if file_of(one)}


def in_a_circle(imports: Mapping[str, set[str]]) -> set[str]:
    """Whatever is in a circle, or imports what is."""
    left = dict(imports)
    # Whatever can be taken away one by one, importing nothing that is left, is in no circle.
    while free := {name for name, names in left.items() if not names & left.keys()}:
        left = {name: names for name, names in left.items() if name not in free}
    return set(left)


def of_the_product() -> dict[str, set[str]]:
    """Our modules in Python, each with those that it imports."""
    return {
        name: named_by(name)
        for package in (*ROOMS, "deploy")
        for path in modules(package)
        if "node_modules" not in path.parts
        for name in [dotted(path)]
    }


def of_javascript(folder: str) -> dict[str, set[str]]:
    """The modules below a folder, each with those that it imports."""
    root = ROOT / folder
    return {
        dotted(path): {
            dotted((path.parent / name).resolve())
            for name in re.findall(r'(?:from |import\(|^import )"(\.[^"]+)"', text, re.MULTILINE)
        }
        for path in root.rglob("*.js")
        for text in [path.read_text()]
    }


def of_siblings(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same for each folder, and each module, beside others in one folder.

    A module and a folder that have one name beside each other are one.
    """
    found: dict[str, set[str]] = defaultdict(set)
    for name, others in imports.items():
        for imported in others:
            ours, theirs = name.split("."), imported.split(".")
            pairs = enumerate(zip(ours, theirs, strict=False), 1)
            if at := next((at for at, (one, other) in pairs if one != other), None):
                found[".".join(ours[:at])].add(".".join(theirs[:at]))
    return found


def test_no_module_leads_back_to_itself_by_its_imports() -> None:
    assert not in_a_circle(of_the_product())


@pytest.mark.parametrize("javascript", [None, "client_sdk/javascript", "core_api/pages/static"])
def test_no_folder_leads_back_to_itself_by_the_imports_of_its_modules(
    javascript: str | None,
) -> None:
    imports = of_the_product() if javascript is None else of_javascript(javascript)
    assert len(imports) > 50
    assert not in_a_circle(of_siblings(imports))


def test_two_folders_that_import_each_other_are_in_a_circle() -> None:
    imports = {"a.b.c": {"a.d.e"}, "a.d.f": {"a.b.g"}, "a.h": {"a.b.c"}, "a.i": {"a.j"}}
    assert not in_a_circle(imports)
    assert in_a_circle(of_siblings(imports)) == {"a.b", "a.d", "a.h"}


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_line(package: str) -> None:
    rooms = {
        path.stem
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
    }
    assert rooms == set(ROOMS[package])


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_rooms_below_them(package: str) -> None:
    order = list(ROOMS[package])
    for path in modules(package):
        parts = dotted(path).split(".")
        if len(parts) == 1:
            continue  # the package itself shows what its rooms have
        for name in imports_of(path):
            other = name.split(".")
            if other[0] == package and len(other) > 1:
                assert order.index(other[1]) <= order.index(parts[1]), f"{path} imports {name}"


def test_rooms_of_the_javascript_import_only_rooms_below_them() -> None:
    sdk = ROOT / "client_sdk/javascript"
    found = {path.relative_to(sdk): path.read_text() for path in sdk.rglob("*.js")}
    assert {path.parts[0].removesuffix(".js") for path in found} == set(JAVASCRIPT)
    for path, text in found.items():
        place = JAVASCRIPT.index(path.parts[0].removesuffix(".js"))
        for name in re.findall(r'(?:from |import\()"(\.[^"]+)"', text):
            other = (sdk / path.parent / name).resolve().relative_to(sdk)
            assert JAVASCRIPT.index(other.parts[0].removesuffix(".js")) <= place, (path, name)


def folders_of_code() -> list[str]:
    """The folders that hold modules of Python or JavaScript, beside tests."""
    folders = {
        path.parent
        for package in (*ROOMS, "deploy")
        for ending in ("py", "js")
        for path in (ROOT / package).rglob(f"[!_]*.{ending}")
    }
    return sorted(str(folder.relative_to(ROOT)) for folder in folders)


@pytest.mark.parametrize("folder", folders_of_code())
def test_no_folder_has_more_modules_than_a_reader_can_overlook(folder: str) -> None:
    if folder not in LARGE:
        found = [path for ending in ("py", "js") for path in ROOT.glob(f"{folder}/[!_]*.{ending}")]
        assert len(found) <= (MAX_IN_A_ROOT if folder in ROOMS else MAX_MODULES)


def says_it_is_pure(path: Path) -> bool:
    text = path.read_text()
    # To parse all modules would take half a second, of each worker of the tests.
    if not re.search(r"Pure[.;:]|pure\.", text):
        return False
    first = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
    return bool(re.search(r"(^|\. |: )Pure[.;:]|\bpure\.", f"{first[0]} {first[2][:12]}"))


PURE = [
    path for package in ROOMS for path in modules(package) if says_it_is_pure(path)
]  # fmt: skip
DRIVERS = {
    "asyncio", "socket", "time", "random", "httpx", "asyncpg", "aiokafka", "sqlalchemy",
    "starlette", "uvicorn", "threading", "paho", "aiomqtt",
}  # fmt: skip


def test_the_rules_of_the_promises_are_among_the_pure_modules() -> None:
    assert {dotted(path) for path in PURE} >= {
        "client_sdk.machine.machine",
        "client_sdk.machine.sequencing",
        "client_sdk.client.order_book",
        "client_sdk.contract.digest",
        "core_api.orders.permissions",
        "core_api.orders.lifecycle",
        "core_api.orders.channel_entries",
        "core_api.relay.leases",
        "core_api.relay.cycle",
        "core_api.sync.events_or_reset",
        "event_server.replay.database_clock",
        "event_server.replay.hub",
        "event_server.replay.ring",
    }


@pytest.mark.parametrize("path", PURE, ids=dotted)
def test_what_says_that_it_is_pure_neither_waits_nor_loads_a_driver(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree))
    seen: set[str] = set()
    ahead = [(name, dotted(path)) for name in loaded_by(path)]
    while ahead:
        name, by = ahead.pop()
        assert name.partition(".")[0] not in DRIVERS, f"{by} imports {name}"
        file = file_of(name)
        if file is not None and name not in seen:
            seen.add(name)
            ahead += [(further, name) for further in loaded_by(file)]


@cache
def rows_below(heading: str) -> list[list[str]]:
    """The rows of a table in docs/architecture.md, by the beginning of the heading above it."""
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition(f"\n## {heading}")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return rows[2:]


def rows_of_the_table_of_promises() -> list[list[str]]:
    return rows_below("Promises")


def rows_of_the_table_of_questions() -> list[list[str]]:
    return rows_below("Where is it decided?")


def files_in(cells: Iterable[str]) -> set[str]:
    return {path for cell in cells for path in re.findall(r"`(\w+/[\w/]+\.\w+)[`:]", cell)}


@cache
def files_of_the_tables() -> set[str]:
    rows = (*rows_of_the_table_of_promises(), *rows_of_the_table_of_questions())
    return files_in(cell for _, *cells in rows for cell in cells)


@cache
def names_of_the_tables() -> set[tuple[str, str]]:
    """The functions and classes of each rule: a name without a file stands in the last one."""
    found = set()
    for _, rule, *_ in (*rows_of_the_table_of_promises(), *rows_of_the_table_of_questions()):
        file = ""
        for cited in re.findall(r"`([^`]+)`", rule):
            path, _, name = cited.rpartition(":")
            if cited.endswith((".py", ".js")):
                file = cited
            elif path.endswith((".py", ".js")):
                file = path
                found.add((file, name))
            elif cited.replace(".", "_").isidentifier():
                found.add((file, cited))
    return found


@cache
def names_defined_in(path: Path) -> set[str]:
    if path.suffix == ".js":
        return names_defined_in_javascript(path.read_text())
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return found


def names_defined_in_javascript(text: str) -> set[str]:
    """Its functions, classes and constants, and `Class.method`: code stands in one known form."""
    found: set[str] = set()
    declared = r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)(.*?)(?=^\S|\Z)"
    for name, body in re.findall(declared, text, re.MULTILINE | re.DOTALL):
        methods = re.findall(r"^  (?:static |async |get |set )*(#?\w+)\(", body, re.MULTILINE)
        found |= {name, *(f"{name}.{method}" for method in methods)}
    return found


def test_every_promise_from_1_to_13_has_a_row_and_the_rows_are_in_order() -> None:
    numbers = [
        int(found[0])
        for promise, *_ in rows_of_the_table_of_promises()
        if (found := re.match(r"\d+", promise))
    ]
    assert set(numbers) == set(range(1, 14))
    assert numbers == sorted(numbers)


def test_every_question_has_a_file_and_is_short() -> None:
    rows = rows_of_the_table_of_questions()
    assert len(rows) > 20
    for question, answer in rows:
        assert question.endswith("?")
        assert len(question) < 100
        assert files_in([answer]) or "metrics.md" in answer


@pytest.mark.parametrize("path", sorted(files_of_the_tables()))
def test_the_file_that_a_promise_or_a_question_names_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize(("path", "name"), sorted(names_of_the_tables()))
def test_the_rule_that_a_promise_or_a_question_names_stands_in_that_file(
    path: str, name: str
) -> None:
    assert name in names_defined_in(ROOT / path)


def test_no_module_is_named_after_its_form() -> None:
    """Seven were called `rules`: whoever looked for one of their decisions found none of them."""
    names = {
        Path(folder, "rules").with_suffix(ending)
        for folder in folders_of_code()
        for ending in (".py", ".js")
    }
    assert not {str(path) for path in names if (ROOT / path).exists()}


def named_in_how_to_add() -> set[str]:
    text = (ROOT / "docs/how-to-add.md").read_text()
    return set(re.findall(r"`([a-z_]+/[a-z_/-]+\.[a-z]+)`", text))


@pytest.mark.parametrize("path", sorted(named_in_how_to_add()))
def test_a_file_that_how_to_add_names_exists(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_long_modules_are_those_that_the_architecture_names() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    reasons = text.partition("A module of more than 350 lines")[2].partition("\n\n")[0]
    long = {
        str(path.relative_to(ROOT))
        for package in (*ROOMS, "deploy")
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".js") and "node_modules" not in path.parts
        if len(path.read_bytes().splitlines()) > LONG
    }
    assert long == set(re.findall(r"`(\w+/[\w/]+\.\w+)`", reasons))


def test_the_settings_page_tells_of_every_process() -> None:
    whole = {
        settings
        for module in (core_api.settings, event_server.settings)
        for settings in vars(module).values()
        if isinstance(settings, type) and issubclass(settings, BaseSettings)
        if settings is not BaseSettings and not settings.__subclasses__()
    }
    assert set(PROCESSES.values()) == whole


def test_the_settings_page_is_what_the_code_says() -> None:
    assert (ROOT / TARGET).read_text() == render(), "run make docs"
