"""One module for each verb, and the job that they share."""
