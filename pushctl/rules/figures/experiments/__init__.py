"""Tests of messages: how large, who wins, and what a control group proves."""
