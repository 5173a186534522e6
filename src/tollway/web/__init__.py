"""What listens: the gateway's HTTP and the ops port. Knows no adapter."""
