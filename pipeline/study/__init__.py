"""What a study is: its declaration, search space and hyperparameters, and how its file is loaded."""
