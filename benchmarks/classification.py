"""Test figures of `enct5 train` with its defaults, beside random weights and TF-IDF with logistic regression.

    python benchmarks/classification.py            (writes results/classification.jsonl and .md)

Every set: three seeds from the bundled T5, three from random weights of the same shape, and scikit-learn's TF-IDF of
words and word pairs with logistic regression, its C chosen on the same held-out split. Test files are measured once.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from records import RESULTS, environment, markdown_table, mean_and_spread, run_missing

from sets import CLASSIFICATION, read_training_rows, test_file, write_training_file
