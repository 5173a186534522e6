"""The admin API: FastAPI in its own process. Translates; decides nothing."""
