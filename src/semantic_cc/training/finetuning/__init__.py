"""Training of single parts of a trained model: mask decoder, keyword head, calibration of the change flag."""
