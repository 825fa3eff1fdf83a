"""Is random search better than grid search on CIFAR-10? The network is the lecture's: 50 hidden units, 5 epochs."""

from pipeline import Arm, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10",
    question="Is random search better than grid search on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # The lecture's range, 1e-6 to 1e-3, is for centred pixels with a standard deviation of about 64, and weights
        # with one of 1e-4. Here pixels have a standard deviation of 1 and weights start by He's rule, so the useful
        # rates are higher. Rates near 1 work on the 64 pixels of the digits but diverge on the 3,072 of an image, since
        # the steps of the first layer grow with the number of inputs.
        learning_rate=Float(1e-4, 1, log=True, levels=5),
        # The lecture samples 1e-5 to 1e5; no value above 1 worked.
        l2=Float(1e-5, 1, log=True, levels=3),
    ),
    fixed=HyperParams(momentum=0.9, hidden=(50,)),
    # 45,000 training and 5,000 validation images; the published 10,000 test images are the test split of every block.
    config=TrainConfig(epochs=5, batch_size=100, validation=0.1),
    arms=(Arm("random"), Arm("grid"), Arm("shifted_grid")),
    blocks=10,
    delta=0.005,
)
