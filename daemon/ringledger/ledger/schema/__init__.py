"""The tables and views, their statements, and the migrations that lead to them."""
