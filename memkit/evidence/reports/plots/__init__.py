"""Plots of the evidence page, as SVG."""
