"""The figures: each is drawn once, from numbers that stand in the table beneath it."""
