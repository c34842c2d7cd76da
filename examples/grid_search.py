"""Search for settings with scikit-learn, on folds of the messages.

python examples/grid_search.py
"""

import argparse

import pandas as pd
from sklearn.model_selection import GridSearchCV

from enct5 import EncT5Classifier
from enct5.assets import demo_data

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=float, default=2, help="of each of the five trainings")
parser.add_argument("--base", default="bundled", help="T5 to start from, such as google-t5/t5-base")
arguments = parser.parse_args()

messages = pd.read_json(demo_data("train"), lines=True).head(240)
classifier = EncT5Classifier(base=arguments.base, epochs=arguments.epochs, random_state=0)
search = GridSearchCV(classifier, {"label_smoothing": [0.0, 0.1]}, cv=2)
search.fit(messages["text"], messages["intent"])

for setting, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(setting, f"accuracy {score:.3f}")
print(search.predict(["where is my parcel?", "please send me the invoice"]))
