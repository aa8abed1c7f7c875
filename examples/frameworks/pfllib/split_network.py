"""PFLlib's FedAvg on the networks DNN and MLR: another network than that of SCAFFOLD or FedDyn.

    cd PFLlib/system
    python FEDSCAPE/examples/frameworks/pfllib/split_network.py

main.py takes the classifier `fc` off and puts it behind the rest. The rest of DNN and MLR still ends in
log_softmax, which so comes before the classifier, over hidden units or pixels. CNN has none.
"""

import copy
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path.cwd()))
from flcore.trainmodel.models import DNN, BaseHeadSplit, FedAvgCNN, Mclr_Logistic

if __name__ == "__main__":
    torch.manual_seed(0)
    images = torch.randn(5, 1, 28, 28)
    for network in (FedAvgCNN(), DNN(), Mclr_Logistic()):
        whole = network(images).log_softmax(1)
        head, network.fc = copy.deepcopy(network.fc), nn.Identity()
        split = BaseHeadSplit(network, head)(images).log_softmax(1)
        print(f"{type(network).__name__}: outputs differ by up to {(whole - split).abs().max().item():.4f}")
