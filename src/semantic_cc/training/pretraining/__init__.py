"""What comes before training where there are no public weights.

Land cover for the encoder, words for the Q-Former.
"""
