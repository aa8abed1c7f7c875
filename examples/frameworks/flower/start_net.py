"""The network of the common problem at the problem's start, as configurations of the baselines name it."""

import os

from common import problem_in
from net import Net

FOLDER = "COMMON_PROBLEM"
"""Environment variable with the problem's folder."""


class StartNet(Net):
    """`Net` with the start's weights."""

    def __init__(self):
        super().__init__()
        self.load_state_dict(problem_in(os.environ[FOLDER]).start)
