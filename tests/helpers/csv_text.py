"""A CSV of a run as text, to be damaged."""

ROWS = "study,seed,round,loss,split,diverged\npilot,0,1,2.5,train,false\npilot,0,2,1.5,train,true\n\n"
