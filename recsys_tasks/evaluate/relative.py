"""A gain as a share of what it is a gain over."""

# What finds next to nothing must not make any find a gain of thousands.
LEAST = 0.001


def relative_gain(value: float, over: float) -> float:
    """value / over - 1, of metrics between 0 and 1; an ``over`` below LEAST counts as LEAST."""
    return (value - over) / max(over, LEAST)
