"""Training of several tasks on one encoder: data, losses, model and figures of each; the run itself is `run.train`."""
