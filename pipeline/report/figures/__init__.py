"""The figures. Each is drawn from the numbers in the table below it."""
