"""What is said of a fleet: its hosts are asked, judged, compared with before, and reported."""
