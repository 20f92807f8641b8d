"""Each scenario once more, with what protects from it taken out: the chaos run must notice."""
