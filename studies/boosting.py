"""Does TPE beat random search for gradient boosting? Any scikit-learn classifier can take the network's place."""

from pipeline import Arm, Float, Int, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="boosting",
    question="Does TPE beat random search for gradient boosting?",
    dataset="digits",
    model="sklearn.ensemble:HistGradientBoostingClassifier",
    fixed={"max_iter": 10},
    space=SearchSpace(
        learning_rate=Float(1e-2, 1, log=True),
        max_leaf_nodes=Int(2, 32, log=True),
        l2_regularization=Float(1e-3, 100, log=True),
    ),
    config=TrainConfig(preprocessing="none"),  # trees do not depend on the scale of their inputs
    arms=(Arm("tpe"), Arm("random")),
    trials=12,
    blocks=6,
    confirm=2,
)
