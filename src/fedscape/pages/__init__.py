"""The page of a study, `index.html`: what came out, and its planes to turn around."""
