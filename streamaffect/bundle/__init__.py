"""What the workshop ships: bundles, a person's versions of them, and the way from recordings to a bundle."""
