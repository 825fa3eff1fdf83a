"""Babysit: ask one question about training a neural network, get tracked trials and a verdict that holds.

The floors, from the ground up; imports only go down (``tests/test_floors.py`` holds it):

F0  ``hparams``, ``nn``                     what one network is, and the arithmetic of training it (NumPy only)
    ``seeds``, ``errors``, ``voice``        where randomness comes from; a job that failed; what is said, how loudly
    ``validation``                          what is asked of values that people write
    ``addresses``, ``opening``, ``mounts``  the address of a store, and its opening; what lies on a network
    ``processes``                           child processes, which end with their parent
F1  ``space``, ``spec``, ``data``           the words a study is written in; the rows it trains on
    ``experiment``                          the declaration of one of the lecture's demonstrations
F2  ``training``                            a lockstep group of trials in, their curves out
F3  ``trial``, ``task``                     one trial from plan to record; what a worker does
    ``estimator``                           a scikit-learn classifier over the same core
    ``babysitting``, ``samplers``, ``pruners``  checks and diagnoses; Optuna's samplers and pruners
    ``tracking``, ``stores``                MLflow; where the two stores are
F4  ``search``, ``progress``                plan, train, record, resume; and what is shown meanwhile
F5  ``report``                              the verdict, its figures and its page
F6  ``lecture``                             the lecture's demonstrations, held against its numbers
F7  ``lookup``, ``jobs``, ``stages``        studies by name, the jobs, stages
    ``manual``, ``manual_trial``            the study of the trials that a person chooses; the training of one
    ``publication``                         what a study leaves for its readers
    ``arguments``, ``cli``                  the words of the command line; the verbs
    ``model``, ``served``, ``portrait``     the best trial's model, kept and registered; its pictures
    ``model_code``                          the code that a registered model carries
    ``ui``                                  MLflow UI and Optuna Dashboard, opened and closed together
"""

__version__ = "0.1.0"
