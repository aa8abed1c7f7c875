"""fedscape: train federated-learning runs, keep their trajectories, show why they end where they end."""

__version__ = "0.1.0"
