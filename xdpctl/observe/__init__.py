"""What is seen over time: snapshots turned into rates."""
