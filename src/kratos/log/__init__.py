"""What is written about calls: lines, how they look, and the queue that takes their writing off the request path."""
