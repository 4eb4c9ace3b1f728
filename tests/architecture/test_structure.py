"""The rules of the house that a reader cannot see from one file. Each failure says what to do."""

import ast
import importlib
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.settings import reference
from tests.architecture.tree import PACKAGES, ROOT, Source, calls, dotted, each, imported, sources

MAX_LINES = 400
MAX_FUNCTION = 40

CLOCKS = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|func\.(now|current_timestamp)|"
    r"time\.(time|time_ns|clock_gettime|gmtime|localtime))$"
)
CLOCK_FILE = "core/clock.py"

EDGES = {
    "core/db.py": "write() is what edges commit with",
    "api/attempts.py": "a try is counted whatever becomes of it",
    "api/auth.py": "that a key was used is noted whatever becomes of its request",
    "api/context.py": "a request commits after a good answer",
    "api/idempotency.py": "a key is taken before its request does anything",
    "campaigns/fan_out.py": "a chunk and its cursor are one transaction",
    "communications/dispatch.py": "intent, send and settle are three transactions",
    "communications/reconcile.py": "providers are asked between two transactions, never in one",
    "members/importing.py": "each chunk of a file is one transaction",
    "scheduling/tick.py": "each occurrence is fired in one transaction",
    "webhooks/apply.py": "a set of receipts and their effects are one transaction",
    "webhooks/collecting.py": "a set of events and all that follows from them are one transaction",
    "webhooks/collector.py": "events are stored before they are acknowledged",
    "webhooks/receive.py": "a receipt is stored before it is acknowledged",
    "webhooks/tracking.py": "a click is stored before it is answered",
    "webhooks/write_key.py": "that a key was used is noted whatever becomes of its request",
}
"""Who may commit outside the front door (echelonx/), and why."""

EGRESS_FILE = "core/http.py"
HTTP_CLIENTS = ("requests", "httpx", "aiohttp", "urllib.request", "urllib3", "http.client")
SDK_CLIENTS = ("sendgrid.SendGridAPIClient", "python_http_client")
"""They cannot be given another HTTP client; Twilio's can."""

BROAD_CATCHES = 5
"""The pump's outermost loop, the WSGI boundary, the adapter call in dispatch, a journey's step,
one client's or journey's share in them."""

DANGEROUS_MODULES = ("pickle", "cPickle", "dill", "marshal", "shelve")
DANGEROUS_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load"}


def none(found: Iterable[str], instead: str) -> None:
    """Fail with the places and the remedy."""
    places = sorted(set(found))
    assert not places, f"{instead}\n  " + "\n  ".join(places)


def below(name: str, modules: Iterable[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def test_only_the_clock_reads_the_time() -> None:
    none(
        (f"{source.at(node)} calls {name}" for source, node, name in calls()
         if CLOCKS.search(name) and source.path != CLOCK_FILE),
        "Take a `clock` argument and call clock.now(); deadlines use core.clock.ticking(). "
        "A clock nobody can set cannot be tested:",
    )  # fmt: skip


def commits() -> Iterable[tuple[Source, ast.Call]]:
    """Every call of commit() and every transaction opened with core.db.write()."""
    writers = {source.path for source, _, name in imported() if name == "core.db.write"}
    for source, node, name in calls():
        if name.endswith(".commit") or (name == "write" and source.path in writers):
            yield source, node


def test_only_the_edge_commits() -> None:
    none(
        (source.at(node) for source, node in commits()
         if source.path not in EDGES and not source.path.startswith("echelonx/")),
        "Take a session, flush, and let the edge commit with core.db.write(): a function that "
        "commits cannot be joined with another. If this is an edge, name it in EDGES with why:",
    )  # fmt: skip


def test_every_named_edge_commits() -> None:
    committing = {source.path for source, _ in commits()} | {"core/db.py"}
    present = {path for path in EDGES if (ROOT / path).exists()}

    none(present - committing, "This file no longer commits; take it off EDGES:")


def test_the_broker_only_rings() -> None:
    none(
        (f"{source.at(node)} passes {word.arg}=" for source, node, _ in calls()
         for word in node.keywords if word.arg in ("eta", "countdown")),
        "Plan an occurrence or set due_at instead: what waits in a broker is lost when it is "
        "flushed:",
    )  # fmt: skip
    none(
        (source.at(node) for source, node, name in calls() if name.endswith(".retry")),
        "Leave the row due and let the pump find it; a Celery retry knows nothing of the ledger:",
    )


def test_nothing_executes_data() -> None:
    none(
        (f"{source.at(node)} imports {name}" for source, node, name in imported()
         if below(name, DANGEROUS_MODULES)),
        "Use JSON: unpickling somebody's bytes runs their code:",
    )  # fmt: skip
    none(
        (f"{source.at(node)} calls {name}" for source, node, name in calls()
         if name in DANGEROUS_CALLS),
        "Parse the text; never run it:",
    )  # fmt: skip


def test_there_is_one_way_out() -> None:
    none(
        (f"{source.at(node)} imports {name}" for source, node, name in imported()
         if below(name, HTTP_CLIENTS) and source.path != EGRESS_FILE),
        "Send it through core.http.Egress, which guards against private addresses (B050):",
    )  # fmt: skip
    none(
        (f"{source.at(node)} imports {name}" for source, node, name in imported()
         if below(name, SDK_CLIENTS)),
        "An SDK's own client follows redirects, retries and logs; build the request with the SDK "
        "and send it through the adapter's Ports.http:",
    )  # fmt: skip
    twilio = {source.path for source, _, name in imported() if name == "twilio.rest.Client"}
    none(
        (source.at(node) for source, node, name in calls()
         if name == "Client" and source.path in twilio
         and "http_client" not in {word.arg for word in node.keywords}),
        "Give Twilio's client the egress as its http_client=:",
    )  # fmt: skip


def test_no_sql_is_glued_together() -> None:
    none(
        (source.at(node) for source, node, name in calls()
         if name.rpartition(".")[2] == "text" and node.args
         and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)),
        "Bind the values: text('… :name').bindparams(name=…):",
    )  # fmt: skip


def test_few_places_catch_everything() -> None:
    broad = []
    for source, node in each(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {dotted(kind) if kind is not None else "BaseException" for kind in kinds}
        if names & {"Exception", "BaseException"}:
            broad.append(source.at(node))

    assert len(broad) <= BROAD_CATCHES, (
        "Catch what you expect. Only the pump's outermost loop, the WSGI boundary, the adapter "
        "call in dispatch, a journey's step and one journey's share may catch everything:\n  "
        + "\n  ".join(broad)
    )


def test_a_packages_init_is_its_description() -> None:
    none(
        (source.path for source in sources() if source.path.endswith("__init__.py")
         and not described_only(source)),
        "Write one docstring (what belongs here, what does not, which file to read first) and "
        "nothing else; importing a package must do nothing:",
    )  # fmt: skip


def described_only(source: Source) -> bool:
    return ast.get_docstring(source.tree) is not None and len(source.tree.body) == 1


def test_no_file_outgrows_its_noun() -> None:
    none(
        (f"{source.path} has {lines} lines" for source in sources() if not is_record(source)
         if (lines := source.text.count("\n")) > MAX_LINES),
        f"Split it where a second noun appears; {MAX_LINES} lines is the most:",
    )  # fmt: skip


def test_no_function_is_longer_than_a_screen() -> None:
    none(
        (f"{source.at(node)} {node.name} has {lines} lines"
         for kind in (ast.FunctionDef, ast.AsyncFunctionDef)
         for source, node in each(kind) if not is_record(source)
         if isinstance(node, kind) and (lines := body_lines(node)) > MAX_FUNCTION),
        f"Name its steps as functions of their own; {MAX_FUNCTION} lines is the most:",
    )  # fmt: skip


def is_record(source: Source) -> bool:
    """A migration is a record of what was done, written once and never again."""
    return source.path.startswith("migrations/versions/")


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code: what stands below the signature and the docstring."""
    described = ast.get_docstring(function) is not None
    first = function.body[1 if described and len(function.body) > 1 else 0]
    return (function.end_lineno or 0) - first.lineno + 1


def test_every_module_says_what_it_is_for() -> None:
    none(
        (source.path for source in sources() if ast.get_docstring(source.tree) is None),
        "Begin the file with one sentence of purpose:",
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_ours_and_not_another_of_that_name(package: str) -> None:
    module = importlib.import_module(package)

    found = Path(next(iter(module.__path__)))
    assert found == ROOT / package, f"`import {package}` finds {found}, which shadows ours"


def test_the_settings_page_is_the_settings() -> None:
    page = ROOT / "docs/reference/settings.md"

    assert page.read_text("utf-8") == reference(), (
        "core/settings.py changed; write the page anew:\n"
        "  .venv/bin/python -c 'from core.settings import reference; print(reference(), end=str())'"
        f" > {page.relative_to(ROOT)}"
    )
