"""Events and items as Delta tables, read as of an instant."""
