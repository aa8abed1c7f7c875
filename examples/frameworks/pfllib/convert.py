"""A model that PFLlib saved, as a file of weights that can be read without running code.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/convert.py models/MNIST/FedAvg_server.pt round-021.safetensors

PFLlib pickles the whole module, so reading it runs what the file says: convert files of your own, in the
environment and the commit of PFLlib that wrote them.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))  # where the classes of its models are
    model = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
    save_file({name: tensor.detach().clone() for name, tensor in model.state_dict().items()}, sys.argv[2])
