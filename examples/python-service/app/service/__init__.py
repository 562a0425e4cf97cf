"""Answers every GET with the path that was asked for."""
