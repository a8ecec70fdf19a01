import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from mezzotint.evaluate.scores import area_under_curve, class_scores, number_scores


@given(st.integers(2, 5), st.integers(5, 60), st.integers(0, 10**6))
def test_class_scores_are_sklearns(classes, n, seed):
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(classes, size=n)])
    probabilities = np.round(rng.dirichlet(np.ones(classes), len(truth)), 1)
    labels = np.arange(classes)
    answer = labels[probabilities.argmax(axis=1)]
    scores = class_scores(probabilities, labels, truth)
    assert scores["Accuracy"] == pytest.approx(metrics.accuracy_score(truth, answer))
    expected = metrics.balanced_accuracy_score(truth, answer)
    assert scores["Balanced accuracy"] == pytest.approx(expected)
    f1 = metrics.f1_score(truth, answer, average="macro")
    assert scores["F1, mean over classes"] == pytest.approx(f1)
    if classes == 2:
        auc = metrics.roc_auc_score(truth, probabilities[:, 1])
        assert scores["AUC"] == pytest.approx(auc)
    else:
        assert "AUC" not in scores


def test_ties_count_half():
    assert area_under_curve(np.zeros(4), np.array([True, False, True, False])) == 0.5


def test_a_model_that_knows_one_class():
    truth = np.array([0, 0, 0, 1])
    scores = class_scores(np.ones((4, 1)), np.array([0]), truth)
    assert scores["Accuracy"] == 0.75
    assert scores["Balanced accuracy"] == 0.5
    assert scores["AUC"] == 0.5


def test_a_model_that_answers_a_class_the_truth_lacks():
    scores = class_scores(np.array([[0.0, 1.0]] * 3), np.array([0, 7]), np.zeros(3, int))
    assert scores == {"Accuracy": 0, "Balanced accuracy": 0, "F1, mean over classes": 0}


def test_number_scores_are_sklearns():
    rng = np.random.default_rng(0)
    truth, answer = rng.normal(size=(2, 50))
    scores = number_scores(answer, truth)
    assert scores["R²"] == pytest.approx(metrics.r2_score(truth, answer))
    expected = metrics.mean_absolute_error(truth, answer)
    assert scores["Mean absolute error"] == pytest.approx(expected)


def test_a_constant_truth_has_no_r2():
    assert np.isnan(number_scores(np.zeros(3), np.ones(3))["R²"])
