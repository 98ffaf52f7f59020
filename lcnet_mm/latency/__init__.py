"""Measuring time: interleaved rounds, medians, and what was measured on which CPU."""
