"""How a night reads on one page: from the facts each step reported, as text for a log or a terminal."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys_tasks.evaluate.gate import POPULAR
from recsys_tasks.workspace import Facts

PAGE_WIDTH = 112
# A table over fewer shoppers says nothing.
FEW = 30
SLICE_TITLES = {
    "all": "everything the shopper took",
    "new": "new to the shopper",
    "no_history": "shoppers without history",
}


def page_text(facts: Facts) -> str:
    """The page without colours, for a task log."""
    buffer = StringIO()
    print_page(Console(file=buffer, width=PAGE_WIDTH, color_system=None), facts)
    return buffer.getvalue()


def print_page(console: Console, facts: Facts) -> None:
    """Section by section, each from the steps it needs; a step that never ran leaves its section out."""
    console.print(Text(f"{facts['shop']}, night {facts['night']}", style="bold"))
    steps: Facts = facts["steps"]
    for step, lines in LINES:
        if step in steps:
            for line in lines(steps[step]):
                console.print(Text(line))
    for step, title in (("evaluate", "the gate's window"), ("measure", "the days after the night")):
        if step in steps:
            _print_tables(console, title, steps[step], ZoneInfo(facts["zone"]))
    for line in _decision(steps):
        console.print(Text(line))
    console.print(_costs(steps))


def _print_tables(console: Console, title: str, board: Facts, zone: ZoneInfo) -> None:
    begins, ends = _days(board["window"], zone)
    champion = POPULAR if board.get("champion", {}).get("is_popular") else ""
    for name, rows in board["slices"].items():
        if rows and rows[0]["users"] < FEW:
            console.print(Text(f"{title}: {SLICE_TITLES[name]}: {rows[0]['users']}, too few to tell"))
        elif rows:
            heading = f"{title}, {begins} to {ends}: {SLICE_TITLES[name]} ({rows[0]['users']:,} shoppers)"
            console.print(_score_table(heading, rows, champion))


def _days(window: list[str], zone: ZoneInfo) -> tuple[date, date]:
    """The first and the last business day between two instants, of which the second is no part."""
    begins, ends = (datetime.fromisoformat(instant).astimezone(zone).date() for instant in window)
    return begins, ends - timedelta(days=1)


def _score_table(title: str, rows: list[Facts], champion: str) -> Table:
    """One slice: each system's scores, and how far the first one is ahead of it (paired 95 % interval)."""
    reference = rows[0]["system"]
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("lists of")
    for name in ("Recall@10", "NDCG@10", f"{reference} ahead, Recall@10", f"{reference} ahead, NDCG@10"):
        table.add_column(name, justify="right")
    for row in rows:
        ahead = [_interval(row.get(f"ahead_{metric}@10")) for metric in ("recall", "ndcg")]
        table.add_row(
            _name(row["system"], champion), f"{row['recall@10']:.4f}", f"{row['ndcg@10']:.4f}", *ahead
        )
    return table


def _name(system: str, champion: str) -> str:
    return system.replace("_", " ") + (" (champion)" if system == champion else "")


def _interval(ahead: list[float] | None) -> str:
    return "" if ahead is None else f"{ahead[0]:+.4f} [{ahead[1]:+.4f}, {ahead[2]:+.4f}]"


def _extracted(facts: Facts) -> Iterator[str]:
    yield f"events      {facts['events']:,} from {facts['first']} on ({facts['read']:,} rows read)"
    yield f"  rejected  {_counted(facts['rejected'])}"
    yield f"  filtered  {_counted(facts['filtered'])}"


def _checked(facts: Facts) -> Iterator[str]:
    yield (
        f"known       {facts['events_total']:,} events of {facts['users']:,} shoppers; {facts['items']:,} items, "
        f"{facts['eligible_items']:,} of them may be offered"
    )


def _paired(facts: Facts) -> Iterator[str]:
    yield (
        f"pairs       {facts['pairs']:,} positive, {facts['negatives']:,} negative, "
        f"{facts['examples']:,} tower examples"
    )


def _audited(facts: Facts) -> Iterator[str]:
    yield f"time audit  no leak under {len(facts['rules'])} rules"


def _encoder(facts: Facts) -> Iterator[str]:
    yield f"encoder     {_losses(facts)}tuned encoder {facts['why']}{_again(facts)}"


def _vectors(facts: Facts) -> Iterator[str]:
    encoded = facts.get("encoded", 0)
    yield f"vectors     {facts['items']:,} items, {facts['texts']:,} texts, {encoded:,} of them new to the cache"


def _towers(facts: Facts) -> Iterator[str]:
    if not facts.get("fitted", True):
        yield f"towers      none: {facts['why']}"
        return
    start = "from an earlier night's" if facts["warm"] else "from scratch"
    yield f"towers      {_losses(facts)}{facts['epochs']} epochs {start}, over {facts['examples']:,} examples"


def _ranker(facts: Facts) -> Iterator[str]:
    if not facts.get("fitted"):
        yield f"ranker      none: {facts.get('why')}"
        return
    heads = ", ".join(f"{name} {head['groups']:,} lists" for name, head in facts["heads"].items())
    yield f"ranker      learned from {heads}{_again(facts)}"
    weighed = [
        f"{name} {head['tower_weight']:g} ({head['tower_weight_is']})"
        for name, head in facts["heads"].items()
        if head.get("tower_weight")
    ]
    if weighed:
        yield f"            the towers' own score counts beside it: {', '.join(weighed)}"


def _index(facts: Facts) -> Iterator[str]:
    if not facts.get("fitted", True):
        yield "index       none"
        return
    yield f"index       {facts['items']:,} items, recall against exact search {facts['recall_vs_exact']:.4f}"


def _refit(facts: Facts) -> Iterator[str]:
    if facts["fitted"]:
        epochs = f"{facts['epochs']} epochs on to the night's end, over {facts['examples']:,} examples"
        yield f"refit       {_losses(facts)}{epochs}; recall against exact search {facts['recall_vs_exact']:.4f}"
    elif facts["asked"]:
        yield f"refit       none: {facts['why']}"


def _lists(facts: Facts) -> Iterator[str]:
    yield (
        f"lists       {facts['rows']:,} rows for {facts['users']:,} shoppers ({_counted(facts['by_source'])}); "
        f"{facts['fallback_share']:.1%} of the shoppers from the fallback"
    )


def _published(facts: Facts) -> Iterator[str]:
    state = "live" if facts["live"] else f"not live: {facts['why']}"
    yield f"generation  {facts['generation']}, {facts['rows']:,} rows, {state}"


def _decision(steps: Facts) -> Iterator[str]:
    gate = steps.get("gate")
    if gate:
        yield f"gate        {gate['why']}"
        by_tonight = gate["accepted"] and not gate.get("revoked", False)
        maker = "tonight's model" if by_tonight else f"the champion ({gate['champion']})"
        yield f"            tonight's lists come from {maker}"


def _costs(steps: Facts) -> Table:
    table = Table(title="what each step cost", title_justify="left", title_style="bold")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    table.add_column("peak MB", justify="right")
    for name, facts in steps.items():
        table.add_row(name, f"{facts['seconds']:.1f}", f"{facts['peak_mb']:,.0f}")
    return table


def _losses(facts: Facts) -> str:
    if facts.get("loss_first") is None:
        return ""
    return f"loss {facts['loss_first']:.3f} -> {facts['loss_last']:.3f}; "


def _again(facts: Facts) -> str:
    return " (an earlier night's, used again)" if facts.get("reused") else ""


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"


LINES: tuple[tuple[str, Callable[[Facts], Iterator[str]]], ...] = (
    ("extract_events", _extracted),
    ("check_data", _checked),
    ("build_pairs", _paired),
    ("audit_time", _audited),
    ("finetune_encoder", _encoder),
    ("encode_items", _vectors),
    ("train_towers", _towers),
    ("train_ranker", _ranker),
    ("build_index", _index),
    ("refit_towers", _refit),
    ("recommend", _lists),
    ("publish", _published),
)
