"""The world behind the ports. One package for each technology; none knows another."""
