"""Views: a text or a history changed a little, so that two views of one thing can be told to belong together."""
