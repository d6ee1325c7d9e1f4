"""What trains many times: comparing base models, learning curves, finding suspects."""
