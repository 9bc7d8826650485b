"""Which module imports which, read from the sources without importing anything."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "recsys_tasks"


@dataclass(frozen=True)
class Import:
    """``file:line`` imports ``module`` (and from it ``name``); ``lazy`` inside a function or for type checkers."""

    file: Path
    line: int
    module: str
    name: str | None
    lazy: bool

    def __str__(self) -> str:
        what = self.module if self.name is None else f"{self.name} from {self.module}"
        return f"{self.file.relative_to(REPOSITORY)}:{self.line} imports {what}"

    @property
    def distribution(self) -> str:
        return self.module.split(".")[0]

    @property
    def target(self) -> str:
        """The module of ours that is imported: ``from recsys_tasks.lake import tables`` means the submodule."""
        inner = f"{self.module}.{self.name}"
        return inner if _file_of(inner) else self.module

    @property
    def room(self) -> str | None:
        """The room of ours that is imported, if it is one of ours."""
        return room_of(self.target) if self.distribution == PACKAGE else None


def imports_of(file: Path) -> list[Import]:
    return list(_imports(file, ast.parse(file.read_text(encoding="utf-8")), lazy=False))


def _imports(file: Path, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(file, child.lineno, alias.name, None, lazy)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(file, child.lineno, _absolute(file, child), alias.name, lazy)
        else:
            hidden = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _for_type_checkers(child)
            yield from _imports(file, child, lazy=lazy or hidden)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _absolute(file: Path, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    parts = file.relative_to(REPOSITORY).parent.parts
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def files_in(folder: str) -> list[Path]:
    return sorted((REPOSITORY / folder).rglob("*.py"))


def module_of(file: Path) -> str:
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """``recsys_tasks.lake.tables`` lies in the room ``lake``; the package itself in ``""``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _file_of(module: str) -> Path | None:
    place = REPOSITORY.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)
