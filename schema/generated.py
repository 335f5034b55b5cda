"""The documents that are made from the code: nobody edits them, and a test fails when one is not what the code says."""

import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

from core import metrics, problems
from core.env import Env

BEGIN, END = "<!-- settings: made by `manage.py generate_docs` -->", "<!-- end of settings -->"
METRICS_BEGIN, METRICS_END = "<!-- metrics: made by `manage.py generate_docs` -->", "<!-- end of metrics -->"


def documents(root: Path) -> dict[Path, str]:
    """Each generated file of the project and what it should hold."""
    readme = root / "README.md"
    operations = root / "docs" / "operations.md"
    return {
        root / ".env.example": env_example(),
        root / "schema" / "problems.md": problem_list(),
        root / "schema" / "openapi.yaml": openapi(),
        readme: with_settings(readme.read_text()),
        operations: with_metrics(operations.read_text()),
    }


def settings() -> list[tuple[str, str, str]]:
    """Name, default as an operator would write it, and description of every setting."""
    hints = get_type_hints(Env, include_extras=True)
    found = []
    for field in msgspec.structs.fields(Env):
        default = "" if field.default in (None, msgspec.NODEFAULT) else str(field.default)
        if isinstance(field.default, bool):
            default = str(int(field.default))
        found.append((field.encode_name, default, _description(hints[field.name])))
    return found


def _description(hint: Any) -> str:
    """The description nearest to the outside of an annotated type."""
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        return next(
            (e.description for e in extras if isinstance(e, msgspec.Meta) and e.description), _description(inner)
        )
    if get_origin(hint) in (Union, types.UnionType):
        return next(filter(None, map(_description, get_args(hint))), "")
    return ""


def env_example() -> str:
    """``.env.example``: every setting, commented out with its default."""
    lines = [
        "# Every setting of the service, with its default. `make run` needs none of them.",
        "# The .env of docker-compose.yml is made by scripts/make-env.sh.",
        "",
    ]
    for name, default, description in settings():
        lines += [f"# {description}", f"# {name}={default}", ""]
    return "\n".join(lines).rstrip() + "\n"


def with_settings(readme: str) -> str:
    """README.md with its table of settings made anew."""
    rows = [f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in settings()]
    table = "\n".join(("| setting | default | what it is for |", "|---|---|---|", *rows))
    return _between(readme, BEGIN, END, table)


def with_metrics(operations: str) -> str:
    """docs/operations.md with its table of metrics made anew."""
    rows = [f"| `{name}` | {kind} | {text} |" for name, kind, text in metrics.declared()]
    table = "\n".join(("| metric | kind | what it says |", "|---|---|---|", *rows))
    return _between(operations, METRICS_BEGIN, METRICS_END, table)


def _between(document: str, begin: str, end: str, table: str) -> str:
    head, _, rest = document.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{table}\n{end}{tail}"


def problem_list() -> str:
    """``schema/problems.md``: every problem type."""
    parts = ["# Problem types\n\nMade by `manage.py generate_docs` from core/problems.py; RFC 9457.\n"]
    parts += [f"## {kind.slug}\n\n{kind.status}, {kind.title}. {kind.advice}\n" for kind in problems.ALL]
    return "\n".join(parts)


def openapi() -> str:
    """``schema/openapi.yaml``, validated."""
    schema = SchemaGenerator().get_schema(request=None, public=True)
    validate_schema(schema)
    rendered: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})
    return rendered.decode()
