"""Postgres: the tables, the statements and the migrations. No rule of the domain stands here."""
