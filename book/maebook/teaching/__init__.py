"""The book in a classroom: exercises and their checks, three editions, quizzes and slides, all from the one source."""
