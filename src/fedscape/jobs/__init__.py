"""The frame of every script's call: log, threads, random streams, resume folder, record of its end."""
