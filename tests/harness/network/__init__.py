"""What stands between programs: a balancer, a relay, a network that forwards nothing."""
