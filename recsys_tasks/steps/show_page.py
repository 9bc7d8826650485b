"""How a shopper reads: history left, list right."""

from rich.console import Console
from rich.table import Table

from recsys_tasks.steps.show import Offered, Shopper, Taken


def print_shopper(console: Console, shopper: Shopper) -> None:
    """Two columns, as wide as the terminal."""
    table = Table(
        title=f"shopper {shopper.user_id}, live list of night {shopper.night}",
        title_justify="left",
        show_lines=False,
    )
    table.add_column("took", style="dim", ratio=2)
    table.add_column("is offered", ratio=3)
    for left, right in zip_longest_texts(shopper):
        table.add_row(left, right)
    console.print(table)


def zip_longest_texts(shopper: Shopper) -> list[tuple[str, str]]:
    """The rows of the table: one thing taken and one offered, until both run out."""
    left, right = [_took(taken) for taken in shopper.history], [_offer(offer) for offer in shopper.offers]
    length = max(len(left), len(right))
    pad = [""] * length
    return list(zip((left + pad)[:length], (right + pad)[:length], strict=True))


def _took(taken: Taken) -> str:
    return f"{taken.day}  {taken.title}"


def _offer(offer: Offered) -> str:
    return f"{offer.rank:>2}. {offer.title}: {offer.reason}"
