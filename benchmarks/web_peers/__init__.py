"""What web.py measures beside tinycast: other runtimes, and the networks in their formats."""
