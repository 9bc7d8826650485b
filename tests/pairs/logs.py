"""Hypothesis strategies: small random logs with many equal times."""

from hypothesis import strategies as st

from tests.pairs.shop import Row

shoppers = st.sampled_from(["ann", "bob", "cem"])
items = st.sampled_from([f"i{n:02}" for n in range(12)])
kinds = st.sampled_from(["view", "cart", "purchase", "impression"])
# Quarters of a day, so that instants repeat.
times = st.integers(0, 200).map(lambda quarters: quarters / 4)
one_row: st.SearchStrategy[Row] = st.tuples(shoppers, items, kinds, times)
rows: st.SearchStrategy[list[Row]] = st.lists(one_row, min_size=1, max_size=60)
many_rows: st.SearchStrategy[list[Row]] = st.lists(one_row, min_size=40, max_size=80)
