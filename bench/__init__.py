"""Measurements: one script per claim we print. Ratios beside something, never assertions."""
