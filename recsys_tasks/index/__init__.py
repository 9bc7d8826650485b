"""The Faiss index of item vectors: build, self-check, search."""
