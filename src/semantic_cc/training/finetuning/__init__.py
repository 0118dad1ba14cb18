"""Training of single parts of a trained model: keyword head, calibration of the change flag."""
