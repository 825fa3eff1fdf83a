"""Babysit: ask one question about training a neural network, get tracked trials and a verdict that holds.

The floors, from the ground up; imports only go down (``tests/test_floors.py`` holds it):

F0  ``hparams``, ``nn``                     what one network is, and the arithmetic of training it (NumPy only)
F1  ``spec``, ``data``                      the words a study is written in; the rows it trains on
F2  ``training``                            a lockstep group of trials in, their curves out
F3  ``babysitting``, ``samplers``, ``tracking``  checks and diagnoses; Optuna's samplers as arms; MLflow
F4  ``search``                              plan, train, record, resume
F5  ``report``                              the verdict, its figures and its page
F6  ``cli``                                 the verbs
"""

__version__ = "0.1.0"
