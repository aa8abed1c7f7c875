"""What every script does around its call: log, threads, random streams, resume folder, record of its end."""
