"""What a broadcast will bring, and how good earlier forecasts were."""
