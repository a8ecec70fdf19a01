"""The referee: attacks on every mechanism, and the lower bounds on epsilon they prove."""
