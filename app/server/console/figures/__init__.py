"""Figures as pictures: histograms, small lines, and trends over time."""
