"""What comes before training where there are no public weights.

Land cover or a teacher's features for the encoder, words for the Q-Former.
"""
