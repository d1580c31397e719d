"""Where author code runs: coroutines on the loop, plain functions in threads, others in processes."""
