"""The colours of all plots: the hues of Okabe and Ito, with a contrast of at least 3:1 on white and on near-black."""

BLUE = "#1f7ec2"
ORANGE = "#d1591c"
GREEN = "#0a9068"
PURPLE = "#a765b5"
YELLOW = "#a87b00"
GREY = "#858585"
