"""Networks (one file each), their parameter layout and their evaluation."""
