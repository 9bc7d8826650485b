"""From vectors to lists: candidates, ranker, rules, fallback, reasons."""
