"""What browsers and pages send and load."""
