"""A nightly recommender for shops: a behaviour log goes in, every shopper's lists come out."""
