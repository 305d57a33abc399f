"""KMeans where scikit-learn's stands: in a pipeline and a search, if scikit-learn is there."""

import numpy as np

from kmeans_c import KMeans

# Three clouds in five dimensions; the last one's samples count half as much.
rng = np.random.default_rng(0)
clouds = np.repeat([0.0, 10.0, 20.0], 1000)
X = clouds[:, None] + rng.standard_normal((3000, 5))
weights = np.where(clouds == 20, 0.5, 1.0)

model = KMeans(n_clusters=3, random_state=0).fit(X, sample_weight=weights)
print(model, "found", np.bincount(model.labels_).tolist(), "in", model.n_iter_, "steps")
assert (model.predict(X) == model.transform(X).argmin(axis=1)).all()

try:
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError:
    print("scikit-learn is not installed: that was all")
else:
    steps = make_pipeline(StandardScaler(), KMeans(random_state=0))
    search = GridSearchCV(steps, {"kmeans__n_clusters": [1, 2, 3]}, cv=3).fit(X)
    print(
        "searched:",
        search.best_params_,
        "in a pipeline of",
        list(search.best_estimator_.named_steps),
    )
