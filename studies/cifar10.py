"""Is random search better than grid search on CIFAR-10? Asked of the network of the lecture: 50 hidden units, 5 epochs."""

from pipeline import Arm, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="cifar10",
    question="Is random search better than grid search on CIFAR-10?",
    dataset="cifar10",
    space=SearchSpace(
        # The lecture's 1e-6 to 1e-3 is for pixels less their mean, of standard deviation 64 or so, and weights that
        # start at 1e-4. Here every pixel has standard deviation 1 and weights start by He's rule, so useful rates lie
        # higher. An image still has 3,072 of them, and the steps of the first layer grow with their number: rates
        # near 1, fine on the 64 pixels of the digits, diverge.
        learning_rate=Float(1e-4, 1, log=True, levels=5),
        # The lecture samples 1e-5 to 1e5, and finds all above 1 to be lost: no need to look there again.
        l2=Float(1e-5, 1, log=True, levels=3),
    ),
    fixed=HyperParams(momentum=0.9, hidden=(50,)),
    # 45,000 images are trained on, 5,000 chosen by; the published 10,000 are the test split of every block.
    config=TrainConfig(epochs=5, batch_size=100, validation=0.1),
    arms=(Arm("random"), Arm("shifted_grid"), Arm("grid")),
    blocks=10,
    delta=0.005,
)
