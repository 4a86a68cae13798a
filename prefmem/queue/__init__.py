"""Learning off the reply path: a worker for the jobs that wait in a store."""
