"""One home for each stage of a study: what reaches its jobs, what they read, what they write."""
