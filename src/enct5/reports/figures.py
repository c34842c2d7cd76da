"""What the figures of a run mean, in words for who meets them for the first time."""

from enct5.metrics.classification import AT_DEFAULT

MEANINGS = {
    "accuracy": "share of the texts with the right label",
    "macro_f1": "F1 (precision and recall in one), the mean of all labels",
    "micro_f1": "F1 (precision and recall in one) of all labels given",
    "subset_accuracy": "share of the texts with all the right labels and no other",
    "matthews_correlation": "1: all right; 0: no better than chance",
    "expected_calibration_error": "how far scores are from the share that is right; 0 is best",
    "entity_f1": "precision and recall in one",
    "entity_precision": "share of what was found that is right",
    "entity_recall": "share of what is there that was found",
    "pearson": "correlation with the true values; 1 is best",
    "spearman": "correlation of the order; 1 is best",
    "mae": "mean of the errors, without their sign",
    "rmse": "root of the mean squared error: large errors count more",
    "r2": "1: exact; 0: no better than the mean of all",
}


def meaning(figure: str) -> str:
    """What a figure of a task's metrics means.

    Args:
        figure: Its name, such as `macro_f1` or `macro_f1_at_0.5`.
    """
    name = figure.removesuffix(AT_DEFAULT)
    return MEANINGS[name] if name == figure else "the same with the threshold 0.5 for every label"
