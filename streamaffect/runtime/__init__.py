"""One live subject: the engine and its hot swap, the session, and the workshop beside it."""
